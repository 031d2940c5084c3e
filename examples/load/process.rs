//! What Linux tells of another process.

use std::fs;
use std::io;
use std::time::Duration;

/// The server's process.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    pid: u32,
}

/// A process's memory, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// All pages that are present.
    pub(crate) resident: usize,
    /// Those that no file stands behind: heap and stacks.
    pub(crate) anonymous: usize,
    /// The most that was ever resident.
    pub(crate) peak: usize,
}

impl Process {
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid }
    }

    pub(crate) fn memory(self) -> io::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let field = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kilobytes.map(|kilobytes: usize| kilobytes * 1024).ok_or(io::ErrorKind::InvalidData)
        };
        Ok(Memory {
            resident: field("VmRSS:")?,
            anonymous: field("RssAnon:")?,
            peak: field("VmHWM:")?,
        })
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid))?.count())
    }

    /// How long the main thread was on a processor, in user and in kernel mode.
    pub(crate) fn cpu_time(self) -> io::Result<Duration> {
        let path = format!("/proc/{0}/task/{0}/schedstat", self.pid);
        let schedstat = fs::read_to_string(path)?;
        let nanoseconds = schedstat.split_whitespace().next().and_then(|first| first.parse().ok());
        Ok(Duration::from_nanos(nanoseconds.ok_or(io::ErrorKind::InvalidData)?))
    }
}
