//! How much memory the store in memory may take: of the machine's, or of what its cgroup may use.

use std::fs;
use std::path::Path;

use verify_memstore::Capacity;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// With less, the events of a second have no room.
const LEAST: u64 = 16 * MIB;
/// What a machine has that does not say.
const UNKNOWN: u64 = GIB;

/// A part of the memory, or so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// So many bytes.
    Bytes(u64),
    /// That part of what there is.
    Percent(u8),
}

impl Default for Budget {
    /// A quarter.
    fn default() -> Self {
        Self::Percent(25)
    }
}

impl Budget {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wanted = || {
            format!(
                "found {text:?}; expected a size of at least 16MiB, such as 512MiB, or a part such as 25%"
            )
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent
                .trim()
                .parse()
                .ok()
                .filter(|part| (1..=100).contains(part));
            return percent.map(Self::Percent).ok_or_else(wanted);
        }
        let bytes = bytes(text).ok().filter(|bytes| *bytes >= LEAST);
        bytes.map(Self::Bytes).ok_or_else(wanted)
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(part) => (Memory::of_this_process().bytes / 100 * u64::from(part)).max(LEAST),
        }
    }

    /// What that much holds.
    pub fn capacity(self) -> Capacity {
        Capacity::of_bytes(self.bytes())
    }

    /// What it is and what it holds, in a line.
    pub(super) fn told(self) -> String {
        let of = match self {
            Self::Bytes(_) => String::new(),
            Self::Percent(part) => {
                let Memory { bytes, whose } = Memory::of_this_process();
                format!(" ({part} % of the {} that {whose})", size(bytes))
            }
        };
        let Capacity {
            counters,
            records,
            claims,
            events,
            ..
        } = self.capacity();
        format!(
            "{} of memory{of}: room for {records} records, {counters} counters, {claims} claims and {events} events",
            size(self.bytes())
        )
    }
}

/// How much memory there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    bytes: u64,
    whose: &'static str,
}

impl Memory {
    fn of_this_process() -> Self {
        Self::at(Path::new("/"))
    }

    /// As these files say. The least bound of any group that the process is in holds, and no machine's files need be there.
    fn at(root: &Path) -> Self {
        let machine = meminfo(root);
        let group = cgroup_limit(root).filter(|limit| machine.is_none_or(|machine| *limit < machine));
        match (group, machine) {
            (Some(bytes), _) => Self {
                bytes,
                whose: "this process's cgroup may use",
            },
            (None, Some(bytes)) => Self {
                bytes,
                whose: "this machine has",
            },
            (None, None) => Self {
                bytes: UNKNOWN,
                whose: "are assumed, as this machine does not say",
            },
        }
    }
}

fn meminfo(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * KIB)
}

/// The least limit of the groups that the process is in and of those around them: `memory.max` (version 2) or
/// `memory.limit_in_bytes` (version 1). In a container the group's path may be one of the host's, of which nothing is there; its
/// own group is then at the top.
fn cgroup_limit(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = text.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (top, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            one if one.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let top = root.join(top);
        let own = top.join(path.trim_start_matches('/'));
        let groups = own.ancestors().take_while(|group| group.starts_with(&top));
        // "max" is no number, and none of version 1 is as large as memory can be.
        let limit = |group: &Path| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok();
        groups.filter_map(limit).min()
    });
    limits.min()
}

/// So many bytes: a number, or one with KiB, MiB, GiB or TiB.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit.trim() {
        "" => Some(1),
        "KiB" => Some(KIB),
        "MiB" => Some(MIB),
        "GiB" => Some(GIB),
        "TiB" => Some(TIB),
        _ => None,
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .ok_or_else(|| format!("found {text:?}; expected a size in bytes, or such as 512MiB or 20GiB"))
}

/// A size as people read it.
pub(crate) fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        TIB.. => (TIB, "TiB"),
        GIB.. => (GIB, "GiB"),
        MIB.. => (MIB, "MiB"),
        _ => (KIB, "KiB"),
    };
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_part_or_a_size() {
        let parse = |text| Budget::parse(text).ok();
        assert_eq!(parse("25%"), Some(Budget::Percent(25)));
        assert_eq!(parse("512MiB"), Some(Budget::Bytes(512 * MIB)));
        assert_eq!(parse("2 GiB"), Some(Budget::Bytes(2 * GIB)));
        assert_eq!(parse("16777216"), Some(Budget::Bytes(16 * MIB)));
        for wrong in [
            "",
            "0%",
            "101%",
            "%",
            "1KiB",
            "16777215",
            "2GB",
            "-1",
            "99999999999999TiB",
            "a lot",
        ] {
            let said = Budget::parse(wrong).unwrap_err();
            assert!(said.contains("expected a size of at least 16MiB"), "{said}");
        }
        assert_eq!(
            (size(1_536 * MIB), size(700)),
            ("1.5 GiB".to_owned(), "0.7 KiB".to_owned())
        );
    }

    /// A machine of these files.
    fn machine(name: &str, files: &[(&str, &str)]) -> Memory {
        let root = std::env::temp_dir().join(format!("verify-memory-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let memory = Memory::at(&root);
        fs::remove_dir_all(&root).ok();
        memory
    }

    #[test]
    fn the_least_limit_of_machine_and_cgroups_holds() {
        let meminfo = ("proc/meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\n");
        let group = "this process's cgroup may use";
        for (name, files, bytes, whose) in [
            ("bare", vec![meminfo], 8 * GIB, "this machine has"),
            (
                "two",
                vec![
                    meminfo,
                    ("proc/self/cgroup", "0::/system.slice/verify.service\n"),
                    ("sys/fs/cgroup/system.slice/verify.service/memory.max", "max\n"),
                    ("sys/fs/cgroup/system.slice/memory.max", "1073741824\n"),
                ],
                GIB,
                group,
            ),
            (
                "container",
                vec![
                    meminfo,
                    ("proc/self/cgroup", "0::/\n"),
                    ("sys/fs/cgroup/memory.max", "536870912\n"),
                ],
                512 * MIB,
                group,
            ),
            (
                "one",
                vec![
                    meminfo,
                    (
                        "proc/self/cgroup",
                        "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n",
                    ),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
                ],
                256 * MIB,
                group,
            ),
            (
                "unbound",
                vec![
                    meminfo,
                    ("proc/self/cgroup", "4:memory:/a\n"),
                    (
                        "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                        "9223372036854771712\n",
                    ),
                ],
                8 * GIB,
                "this machine has",
            ),
            ("silent", vec![], GIB, "are assumed, as this machine does not say"),
        ] {
            assert_eq!(machine(name, &files), Memory { bytes, whose }, "{name}");
        }
    }

    #[test]
    fn what_it_holds_is_told() {
        let told = Budget::Bytes(GIB).told();
        assert!(told.starts_with("1.0 GiB of memory: room for "), "{told}");
        assert!(Budget::default().told().contains("25 % of the "));
        assert!(Budget::default().bytes() >= LEAST);
    }
}
