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
/// On a disk that much is left to others, and to what ends or repairs.
const DISK_PERCENT: u64 = 99;

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
                    let free = disk.f_bavail.min(disk.f_blocks);
                    filled(disk.f_blocks - free, disk.f_blocks, DISK_PERCENT)
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
    let own = filled(used(connection)?, most, 100);
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

fn filled(used: u64, most: u64, full_percent: u64) -> Fill {
    let percent = |part: u64| most.saturating_mul(part) / 100;
    if used >= percent(full_percent) {
        Fill::Full
    } else if used >= percent(STRANGERS_PERCENT) {
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
        let fills = [0, 89, 90, 99, 100, 200].map(|used| filled(used, 100, 100));
        let expected = [
            Fill::Free,
            Fill::Free,
            Fill::ForKnown,
            Fill::ForKnown,
            Fill::Full,
            Fill::Full,
        ];
        assert_eq!(fills, expected);
    }
}
