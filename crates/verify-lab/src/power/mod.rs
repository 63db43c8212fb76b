//! Power that can be cut: whatever a killed program wrote and did not sync is taken back, as if it had never left the cache.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is preloaded.
const LIBRARY: &str = include_str!("cut.c");
const HEAD: usize = 41;
const WRITTEN: u8 = 1;
const SYNCED: u8 = 2;

/// Files in a directory whose writes can be taken back.
#[derive(Debug)]
pub struct Power {
    library: PathBuf,
    directory: PathBuf,
    notes: PathBuf,
}

impl Power {
    /// Compiles the library into a directory, for programs that have their files in another.
    ///
    /// # Errors
    /// There is no C compiler, or it fails.
    pub fn of(directory: &Path, beside: &Path) -> io::Result<Self> {
        let (source, library) = (beside.join("cut.c"), beside.join("cut.so"));
        fs::write(&source, LIBRARY)?;
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()?;
        if !compiled.success() {
            return Err(io::Error::other("the library that cuts power does not compile"));
        }
        Ok(Self {
            library,
            directory: directory.canonicalize()?,
            notes: beside.join("notes"),
        })
    }

    /// The environment of a program whose power can be cut.
    pub fn environment(&self) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("POWER_DIR", self.directory.clone().into()),
            ("POWER_NOTES", self.notes.clone().into()),
        ]
    }

    /// The environment of a program whose syncs take longer.
    pub fn slow_syncs(&self, by: std::time::Duration) -> [(&'static str, OsString); 2] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("POWER_SYNC_US", by.as_micros().to_string().into()),
        ]
    }

    /// Takes back what was written and not synced by programs that are dead now: of each such write, when `lost` says so of
    /// its number. How many were taken back.
    ///
    /// # Errors
    /// The notes or the files cannot be read or written.
    pub fn cut(&self, mut lost: impl FnMut(usize) -> bool) -> io::Result<usize> {
        let bytes = match fs::read(&self.notes) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let (mut written, mut safe) = (Vec::new(), BTreeMap::<u64, u64>::new());
        let mut at = 0;
        while let Some(note) = Note::read(&bytes, at) {
            match note.kind {
                SYNCED => {
                    let until = safe.entry(note.inode).or_default();
                    *until = (*until).max(note.offset);
                }
                _ => written.push((at as u64, note)),
            }
            at += HEAD + note.old.len();
        }
        let files = inodes(&self.directory)?;
        let mut taken = 0;
        for (number, (place, note)) in written.iter().enumerate().rev() {
            let is_safe = safe.get(&note.inode).is_some_and(|until| place < until);
            if let Some(path) = files.get(&note.inode).filter(|_| !is_safe && lost(number)) {
                note.take_back(path)?;
                taken += 1;
            }
        }
        fs::remove_file(&self.notes)?;
        Ok(taken)
    }
}

/// What was there before a write.
#[derive(Debug, Clone, Copy)]
struct Note<'a> {
    kind: u8,
    inode: u64,
    offset: u64,
    length: u64,
    size: u64,
    old: &'a [u8],
}

impl<'a> Note<'a> {
    /// The note at a place. The last one may be half a note: its write was not begun.
    fn read(bytes: &'a [u8], at: usize) -> Option<Self> {
        let head = bytes.get(at..at + HEAD)?;
        let number = |nth: usize| {
            let bytes = head.get(1 + 8 * nth..9 + 8 * nth)?;
            Some(u64::from_ne_bytes(bytes.try_into().ok()?))
        };
        let [inode, offset, length, size, n] = [number(0)?, number(1)?, number(2)?, number(3)?, number(4)?];
        let old = bytes.get(at + HEAD..at + HEAD + usize::try_from(n).ok()?)?;
        Some(Self {
            kind: *head.first()?,
            inode,
            offset,
            length,
            size,
            old,
        })
    }

    fn take_back(&self, path: &Path) -> io::Result<()> {
        let mut file: File = OpenOptions::new().write(true).open(path)?;
        let now = file.metadata()?.len();
        file.seek(SeekFrom::Start(self.offset))?;
        file.write_all(self.old)?;
        let end = self.offset + self.length;
        if self.kind == WRITTEN && end > self.size && now > self.size {
            if now > end {
                // Something behind it stays: a hole is left.
                let hole = self.size.max(self.offset);
                file.seek(SeekFrom::Start(hole))?;
                io::copy(&mut io::repeat(0).take(end - hole), &mut file)?;
            } else {
                file.set_len(self.size)?;
            }
        }
        Ok(())
    }
}

/// Every file in a directory by its inode.
fn inodes(directory: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file = entry.metadata()?;
        if file.is_dir() {
            found.extend(inodes(&entry.path())?);
        } else {
            found.insert(file.ino(), entry.path());
        }
    }
    Ok(found)
}
