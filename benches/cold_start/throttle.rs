//! A share of one core, as Lambda gives a function after its init phase: by a control group, where this process may make
//! one.

use std::fs;
use std::path::PathBuf;

/// Microseconds of a period. Lambda's own is of this order.
const PERIOD: u64 = 20_000;

/// A control group that was made for this run; removed with the value.
pub(super) struct Throttle {
    folder: PathBuf,
}

impl Throttle {
    /// One that gives so many thousandths of a core.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(super) fn new(per_mille: u64) -> Result<Self, String> {
        let quota = PERIOD * per_mille / 1_000;
        let name = format!("scim-cold-start-{}", std::process::id());
        let v1 = PathBuf::from("/sys/fs/cgroup/cpu").join(&name);
        let v2 = PathBuf::from("/sys/fs/cgroup").join(&name);
        let mut problems = Vec::new();
        for (folder, settings) in [
            (
                v1,
                vec![
                    ("cpu.cfs_period_us", PERIOD.to_string()),
                    ("cpu.cfs_quota_us", quota.to_string()),
                ],
            ),
            (v2, vec![("cpu.max", format!("{quota} {PERIOD}"))]),
        ] {
            if !folder.parent().is_some_and(|parent| parent.join("cgroup.procs").exists()) {
                continue;
            }
            let made = fs::create_dir(&folder).and_then(|()| {
                settings.iter().try_for_each(|(file, value)| fs::write(folder.join(file), value))
            });
            match made {
                Ok(()) => return Ok(Self { folder }),
                Err(error) => {
                    drop(fs::remove_dir(&folder));
                    problems.push(format!("{}: {error}", folder.display()));
                }
            }
        }
        if problems.is_empty() {
            problems.push("there is no cgroup file system with a CPU controller".to_owned());
        }
        Err(problems.join("; "))
    }

    /// From now on the process has no more than that.
    pub(super) fn hold(&self, process: u32) {
        let written = fs::write(self.folder.join("cgroup.procs"), process.to_string());
        written.expect("a process of our own can be moved");
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        // Its last process may not quite have ended; an empty group costs nothing.
        drop(fs::remove_dir(&self.folder));
    }
}
