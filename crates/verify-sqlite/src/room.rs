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
/// A tenth of a large disk is more than anybody has to keep free: of one so many bytes count, the last.
const OF_A_DISK: u64 = 10 << 30;

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
                let fill =
                    of_disk(path).map_or(Fill::Free, |disk| filled(disk.used, disk.most, DISK_PERCENT));
                self.seen = Some((Instant::now(), fill));
                fill
            }
        }
    }
}

/// How much of what there is is used: of [`SqliteOptions::most_bytes`], or of the disk's last ten gigabytes, whichever is fuller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that hold something, others' on the disk too.
    pub used: u64,
    /// Bytes that there are for this user.
    pub most: u64,
}

impl Space {
    /// The part that is used, 0 to 1. From 0.9 on strangers are refused.
    pub fn part(&self) -> f64 {
        (self.used as f64 / self.most.max(1) as f64).min(1.0)
    }
}

/// As `df` counts: what is kept for others, by the system or a quota, is no room, and not used either.
fn of_disk(path: &Path) -> Option<Space> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(usable(disk.f_blocks, disk.f_bfree, disk.f_bavail, disk.f_frsize))
}

fn usable(blocks: u64, free: u64, available: u64, size: u64) -> Space {
    let used = blocks.saturating_sub(free);
    let most = used.saturating_add(available).saturating_mul(size).min(OF_A_DISK);
    Space {
        used: most.saturating_sub(available.saturating_mul(size)),
        most,
    }
}

/// How much room there is, and how much of it is used.
pub(crate) fn space(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<Space> {
    let disk = of_disk(&options.path);
    let used = used(connection)?;
    let own = options.most_bytes.map(|most| Space { used, most });
    let fuller = |one: Space, other: Space| if one.part() < other.part() { other } else { one };
    let known = own.into_iter().chain(disk).reduce(fuller);
    Ok(known.unwrap_or(Space { used, most: u64::MAX }))
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
    fn what_is_kept_for_others_is_no_room_and_not_used() {
        // 252 blocks, 181 of them free, 21 of these for this user.
        let disk = usable(252, 181, 21, 4_096);
        assert_eq!(
            disk,
            Space {
                used: 71 * 4_096,
                most: 92 * 4_096
            }
        );
        assert_eq!(filled(disk.used, disk.most, DISK_PERCENT), Fill::Free);
        assert_eq!(filled(71, 71, DISK_PERCENT), Fill::Full);
        assert!((usable(10, 5, 5, 1).part() - 0.5).abs() < f64::EPSILON);
    }

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

    #[test]
    fn i57_a_large_disk_is_filled_to_its_last_gigabyte() {
        let fill = |free: u64| {
            let disk = usable(1 << 40, free, free, 1);
            filled(disk.used, disk.most, DISK_PERCENT)
        };
        let fills = [50 << 30, 2 << 30, 1 << 30, 200 << 20, 100 << 20].map(fill);
        let expected = [Fill::Free, Fill::Free, Fill::ForKnown, Fill::ForKnown, Fill::Full];
        assert_eq!(fills, expected);
    }
}
