//! A disk that can be filled.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a few megabytes. It goes with the value.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one in a directory, which is made where it is missing.
    ///
    /// # Errors
    /// This user may not.
    pub fn mounted(at: &Path, megabytes: u32) -> io::Result<Self> {
        fs::create_dir_all(at)?;
        let size = format!("size={megabytes}m,mode=777");
        let mut mount = Command::new("mount");
        let mounted = mount
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(at)
            .output()?;
        match mounted.status.success() {
            true => Ok(Self(at.to_owned())),
            false => Err(io::Error::other(
                String::from_utf8_lossy(&mounted.stderr).into_owned(),
            )),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file takes all that is left.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn fill(&self) -> io::Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.ballast())?;
        for size in [1 << 20, 4_096, 1] {
            let piece = vec![0; size];
            while ballast.write_all(&piece).is_ok() {}
        }
        Ok(())
    }

    /// A file leaves that many bytes.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn leave(&self, bytes: u64) -> io::Result<()> {
        self.fill()?;
        let ballast = File::options().write(true).open(self.ballast())?;
        let taken = ballast.metadata()?.len();
        ballast.set_len(taken.saturating_sub(bytes))
    }

    /// That file goes.
    ///
    /// # Errors
    /// It is not there.
    pub fn make_room(&self) -> io::Result<()> {
        fs::remove_file(self.ballast())
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}
