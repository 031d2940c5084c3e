#!/usr/bin/env python3
"""Judges reports of the Autobahn Testsuite by what is expected of them.

  autobahn-judge.py cases [GROUP...]
      prints the cases of the groups, all cases by default, one to a line

  autobahn-judge.py judge EXPECTED REPORTS... [--groups GROUP...]
      exits 0 if the index.json files of one run, taken together, say of every case of the groups
      what the file EXPECTED says, and 1 after a line for each deviation if they do not

A GROUP is "9", "9.3" or "9.3.1". wstest exits 0 whatever happens and reports only the cases it got
to, so what must be in a report is known from autobahn-cases.txt. Exits 2 on wrong usage.
"""

import argparse
import collections
import json
import os
import re
import sys

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "autobahn-cases.txt")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("cases")
    command.add_argument("groups", metavar="GROUP", nargs="*")
    command = commands.add_parser("judge")
    command.add_argument("expected", metavar="EXPECTED")
    command.add_argument("reports", metavar="REPORT", nargs="+")
    command.add_argument("--groups", metavar="GROUP", nargs="*", default=[])
    args = parser.parse_args()

    cases = select(read_cases(), args.groups)
    if args.command == "cases":
        print("\n".join(cases))
        return 0
    return judge(cases, read_expected(args.expected), read_reports(args.reports))


def judge(cases, expected, results):
    deviations = []
    for case in sorted(set(cases) | set(results), key=order):
        if case not in results:
            deviations.append(f"{case}: not in the report; the run did not get to it, or lost it")
        elif case not in cases:
            deviations.append(f"{case}: in the report, but not among the cases of this run")
        else:
            result, rule = results[case], expected[case]
            if (result["behavior"], result["behaviorClose"]) != (rule.behavior, rule.close):
                deviations.append(describe(case, result, rule))

    behavior = tally(result["behavior"] for result in results.values())
    close = tally(result["behaviorClose"] for result in results.values())
    verdict = f"{len(deviations)} deviate" if deviations else "all as expected"
    for deviation in deviations:
        print(deviation)
    print(
        f"Autobahn: {len(results)} of {len(cases)} cases: {behavior}; closing: {close}; {verdict}"
    )
    return 1 if deviations else 0


def describe(case, result, rule):
    line = (
        f"{case}: expected {rule.behavior}, closing {rule.close};"
        f" got {result['behavior']}, closing {result['behaviorClose']}"
        f" (status code {result.get('remoteCloseCode')}, {result['path']})"
    )
    if result["behavior"] == result["behaviorClose"] == "OK":
        line += f"; better than listed, so take {rule.pattern!r} off the list"
    return line


def read_cases():
    """Reads autobahn-cases.txt: each case there is, in order."""
    cases = []
    for fields in lines(CASES):
        group, count = fields[:2]
        cases += [f"{group}.{number}" for number in range(1, int(count) + 1)]
    return cases


def select(cases, groups):
    """Picks the cases of `groups`, or all of them if there are none."""
    groups = [group.removesuffix(".*") for group in groups]
    for group in groups:
        if not any(covers(group, case) for case in cases):
            die(f"the suite has no case {group!r}")
    return [case for case in cases if not groups or any(covers(group, case) for group in groups)]


Rule = collections.namedtuple("Rule", "pattern behavior close reason")


def read_expected(path):
    """Reads what is expected, by case. Complains of lines that say nothing, or say it twice."""
    default, exceptions = None, {}
    for fields in lines(path):
        if len(fields) != 4:
            die(f"{path}: not a pattern, two outcomes and a reason: {'  '.join(fields)}")
        rule = Rule(*fields)
        if rule.pattern == "*":
            default = rule
            continue
        for case in select(read_cases(), [rule.pattern]):
            if case in exceptions:
                die(f"{path}: {case} is covered by {rule.pattern} and {exceptions[case].pattern}")
            exceptions[case] = rule
    if default is None:
        die(f"{path}: no line for '*'")
    return {case: exceptions.get(case, default) for case in read_cases()}


def read_reports(paths):
    """Reads the reports of one run, split by case: the results of its one agent, by case."""
    results, agents = {}, set()
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
        except (OSError, ValueError) as error:
            die(f"{path}: {error}", status=1)
        agents.update(report)
        for cases in report.values():
            for case, result in cases.items():
                if case in results:
                    die(f"{path}: {case} is reported twice", status=1)
                results[case] = result
                result["path"] = os.path.join(os.path.dirname(path), result["reportfile"])
    if not results:
        die(f"{' '.join(paths)}: the report is empty: no case was run", status=1)
    if len(agents) != 1:
        die(f"reports of {len(agents)} agents: {', '.join(sorted(agents))}", status=1)
    return results


def lines(path):
    """Splits a file into lines of columns, leaving out comments."""
    try:
        with open(path, encoding="utf-8") as file:
            text = [line.strip() for line in file]
    except OSError as error:
        die(str(error))
    return [re.split(r"\s{2,}", line) for line in text if line and not line.startswith("#")]


def covers(group, case):
    return case == group or case.startswith(group + ".")


def order(case):
    return [int(part) for part in case.split(".")]


def tally(values):
    return ", ".join(f"{n} {value}" for value, n in collections.Counter(values).most_common())


def die(message, status=2):
    print(f"autobahn-judge: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    sys.exit(main())
