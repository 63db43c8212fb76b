//! How much room is left.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use verify_batch::Fill;

use crate::options::SqliteOptions;

/// How often the disk is looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// From this part on what is left is for known callers.
const STRANGERS_PERCENT: u64 = 90;
/// Of a disk that much is left to others, and to what ends or repairs.
const DISK_PERCENT: u64 = 99;
/// A tenth of a large disk is more than anybody has to keep free: from that on strangers are refused, and then everybody.
const STRANGERS_LEAVE: u64 = 1 << 30;
const ALL_LEAVE: u64 = 64 << 20;

/// What was last seen of the disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    seen: Option<(Instant, Fill)>,
}

impl Disk {
    fn fill(&mut self, path: &Path) -> Fill {
        match self.seen {
            Some((at, fill)) if at.elapsed() < LOOKED_AT_EVERY => fill,
            Some(_) | None => {
                // What cannot be seen is said by the disk itself when it is full.
                let fill = rustix::fs::statvfs(path).map_or(Fill::Free, |disk| {
                    on_disk(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
                });
                self.seen = Some((Instant::now(), fill));
                fill
            }
        }
    }
}

/// How much room is left: on the disk as it was within the last second, in the file as it is now.
pub(crate) fn fill(
    connection: &Connection,
    options: &SqliteOptions,
    disk: &mut Disk,
) -> rusqlite::Result<Fill> {
    let disk = disk.fill(&options.path);
    let Some(most) = options.most_bytes else {
        return Ok(disk);
    };
    let own = in_file(used(connection)?, most);
    Ok(match (disk, own) {
        (Fill::Full, _) | (_, Fill::Full) => Fill::Full,
        (Fill::ForKnown, _) | (_, Fill::ForKnown) => Fill::ForKnown,
        (Fill::Free, Fill::Free) => Fill::Free,
    })
}

/// Bytes of the file that hold something.
pub(crate) fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((pages("page_count")? - pages("freelist_count")?) * pages("page_size")?)
}

/// How much room a disk has that many of whose bytes are free.
fn on_disk(free: u64, all: u64) -> Fill {
    let leave = |percent: u64, most: u64| (all / 100 * (100 - percent)).min(most);
    if free <= leave(DISK_PERCENT, ALL_LEAVE) {
        Fill::Full
    } else if free <= leave(STRANGERS_PERCENT, STRANGERS_LEAVE) {
        Fill::ForKnown
    } else {
        Fill::Free
    }
}

/// How much room a file has that may hold so many bytes.
fn in_file(used: u64, most: u64) -> Fill {
    if used >= most {
        Fill::Full
    } else if used >= most / 100 * STRANGERS_PERCENT {
        Fill::ForKnown
    } else {
        Fill::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i57_strangers_have_nine_tenths() {
        let fills = [0, 89, 90, 99, 100, 200].map(|used| in_file(used, 100));
        assert_eq!(
            fills,
            [
                Fill::Free,
                Fill::Free,
                Fill::ForKnown,
                Fill::ForKnown,
                Fill::Full,
                Fill::Full
            ]
        );
    }

    #[test]
    fn i57_a_small_disk_is_filled_to_nine_tenths_and_a_large_one_to_its_last_gigabyte() {
        let of = |all: u64| move |free: u64| on_disk(free, all);
        let small = [100, 11, 10, 2, 1].map(of(100));
        assert_eq!(
            small,
            [Fill::Free, Fill::Free, Fill::ForKnown, Fill::ForKnown, Fill::Full]
        );
        let large = [50 << 30, 2 << 30, 1 << 30, 65 << 20, 64 << 20].map(of(1 << 40));
        assert_eq!(
            large,
            [Fill::Free, Fill::Free, Fill::ForKnown, Fill::ForKnown, Fill::Full]
        );
    }
}
