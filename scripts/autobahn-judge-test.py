#!/usr/bin/env python3
"""Tests autobahn-judge.py: it gets doctored reports, and has to say what is wrong with each."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
JUDGE = os.path.join(HERE, "autobahn-judge.py")

EXPECTED = """
# A comment.
*      OK             OK             the default

7.1.6  INFORMATIONAL  INFORMATIONAL  the suite only reports it
12     UNIMPLEMENTED  OK             not built
13     UNIMPLEMENTED  OK             not built
"""


def cases(*groups):
    """What a run of `groups` reports when all is as EXPECTED says."""
    command = [sys.executable, JUDGE, "cases", *groups]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {case: outcome(case) for case in output.split()}


def outcome(case):
    if case == "7.1.6":
        return result(case, "INFORMATIONAL", "INFORMATIONAL")
    if case.startswith(("12.", "13.")):
        return result(case, "UNIMPLEMENTED")
    return result(case, "OK")


def result(case, behavior, close="OK"):
    page = f"wsloop_case_{case.replace('.', '_')}.json"
    return {"behavior": behavior, "behaviorClose": close, "remoteCloseCode": 1000, "reportfile": page}


class JudgeTest(unittest.TestCase):
    def judge(self, *reports, groups=(), expected=EXPECTED):
        """Judges reports, each a dict of agents or text, and returns exit status and output."""
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for name, content in [("expected", expected), *enumerate(reports)]:
                paths.append(os.path.join(directory, str(name)))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(content if isinstance(content, str) else json.dumps(content))
            command = [sys.executable, JUDGE, "judge", *paths, "--groups", *groups]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            return run.returncode, run.stdout + run.stderr

    def passes(self, *reports, **kwargs):
        status, output = self.judge(*reports, **kwargs)
        self.assertEqual(status, 0, output)
        self.assertEqual(len(output.splitlines()), 1, "a line of tallies and no more")
        self.assertIn("all as expected", output)
        return output

    def fails(self, *reports, saying, status=1, **kwargs):
        actual, output = self.judge(*reports, **kwargs)
        self.assertEqual(actual, status, output)
        self.assertIn(saying, output)

    def test_all_as_expected(self):
        output = self.passes({"wsloop": cases()})
        self.assertIn("517 of 517 cases: 300 OK, 216 UNIMPLEMENTED, 1 INFORMATIONAL", output)

    def test_groups_alone(self):
        self.assertIn("7 of 7 cases", self.passes({"wsloop": cases("3")}, groups=["3"]))
        self.passes({"wsloop": cases("9.3", "7.1.6")}, groups=["9.3.*", "7.1.6"])

    def test_a_group_is_no_prefix_of_digits(self):
        self.assertEqual(list(cases("1")), [f"1.{i}.{j}" for i in (1, 2) for j in range(1, 9)])

    def test_reports_of_a_split_run_are_one(self):
        every = cases()
        parts = [{case: every[case] for case in list(every)[half::2]} for half in (0, 1)]
        self.passes(*({"wsloop": part} for part in parts))

    def test_a_failed_case(self):
        report = cases() | {"9.4.1": result("9.4.1", "FAILED")}
        line = "9.4.1: expected OK, closing OK; got FAILED, closing OK (status code 1000, "
        self.fails({"wsloop": report}, saying=line)
        self.fails({"wsloop": report}, saying="/wsloop_case_9_4_1.json")
        self.fails({"wsloop": report}, saying="1 deviate")

    def test_a_failed_closing_handshake(self):
        for close in ["FAILED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT"]:
            report = cases() | {"7.1.1": result("7.1.1", "OK", close)}
            self.fails({"wsloop": report}, saying=f"7.1.1: expected OK, closing OK; got OK, closing {close}")

    def test_non_strict_is_not_ok(self):
        report = cases() | {"6.4.3": result("6.4.3", "NON-STRICT")}
        self.fails({"wsloop": report}, saying="6.4.3: expected OK, closing OK; got NON-STRICT")

    def test_better_than_listed(self):
        report = cases() | {"12.1.1": result("12.1.1", "OK")}
        self.fails({"wsloop": report}, saying="better than listed, so take '12' off the list")

    def test_worse_than_listed(self):
        report = cases() | {"13.1.1": result("13.1.1", "FAILED")}
        self.fails({"wsloop": report}, saying="13.1.1: expected UNIMPLEMENTED, closing OK; got FAILED")

    def test_a_missing_case(self):
        report = cases()
        del report["2.5"]
        self.fails({"wsloop": report}, saying="2.5: not in the report")
        self.fails({"wsloop": report}, saying="516 of 517 cases")

    def test_a_case_nobody_asked_for(self):
        self.fails({"wsloop": cases("3", "4")}, groups=["3"], saying="4.1.1: in the report, but not")
        self.fails({"wsloop": cases() | {"8.1": result("8.1", "OK")}}, saying="8.1: in the report, but not")

    def test_empty_reports(self):
        self.fails({}, saying="the report is empty")
        self.fails({"wsloop": {}}, saying="the report is empty")
        self.fails({}, {}, saying="the report is empty", groups=["3"])

    def test_half_of_a_split_run_is_empty(self):
        self.fails({"wsloop": cases("3")}, {}, saying="4.1.1: not in the report", groups=["3", "4"])

    def test_a_case_reported_twice(self):
        self.fails({"wsloop": cases()}, {"wsloop": cases("3")}, saying="3.1 is reported twice")

    def test_reports_of_two_agents(self):
        self.fails({"wsloop": cases("3"), "other": cases("4")}, saying="reports of 2 agents: other, wsloop")

    def test_unreadable_reports(self):
        self.fails("{", saying="Expecting property name")
        status = subprocess.run([sys.executable, JUDGE, "judge", JUDGE, "/nowhere"], capture_output=True, check=False)
        self.assertNotEqual(status.returncode, 0)

    def test_wrong_expectations(self):
        report = {"wsloop": cases()}
        for line, saying in [
            ("7.1  OK  OK  twice", "7.1.6 is covered by 7.1 and 7.1.6"),
            ("8  OK  OK  no such group", "the suite has no case '8'"),
            ("9.1  OK  OK", "not a pattern, two outcomes and a reason"),
        ]:
            self.fails(report, saying=saying, status=2, expected=EXPECTED + line)
        self.fails(report, saying="no line for '*'", status=2, expected="12  OK  OK  a reason")

    def test_unknown_groups(self):
        self.fails({"wsloop": cases()}, saying="the suite has no case '8'", status=2, groups=["8"])

    def test_our_own_expectations_are_in_order(self):
        with open(os.path.join(HERE, "autobahn-server.expected"), encoding="utf-8") as file:
            self.fails({}, saying="the report is empty", expected=file.read())


if __name__ == "__main__":
    unittest.main()
