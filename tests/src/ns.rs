//! A mount and a network namespace of our own, with bpffs and tracefs in it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// Is the effective user root?
#[must_use]
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Where [`Private::delegating`] mounts.
const DELEGATING: &str = "delegating bpf";

/// `CAP_BPF`
const CAP_BPF: u32 = 39;
/// `CAP_SYS_ADMIN`
const CAP_SYS_ADMIN: u32 = 21;

/// Is the capability with this number in the effective set?
#[must_use]
pub fn has_capability(number: u32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    status
        .lines()
        .find_map(|l| l.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|set| set >> number & 1 == 1)
}

/// The namespaces this process has moved to; undone when the process ends.
#[derive(Debug)]
pub struct Private {
    dir: tempfile::TempDir,
    mounts: Vec<PathBuf>,
}

impl Private {
    /// Moves this process into namespaces of its own.
    ///
    /// Call it before any thread is started: only the calling thread moves,
    /// and later threads are born where it is.
    ///
    /// # Errors
    ///
    /// A [`crate::Skip`] where this process may not do that.
    pub fn enter() -> Result<Self> {
        crate::requires!(
            has_capability(CAP_SYS_ADMIN),
            "needs root (CAP_SYS_ADMIN, to make namespaces)"
        );
        crate::requires!(
            has_capability(CAP_BPF) || has_capability(CAP_SYS_ADMIN),
            "needs root (CAP_BPF)"
        );
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
            .context("make a mount and a network namespace")?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .context("make the mounts private")?;
        let dir = tempfile::tempdir().context("make a directory to mount in")?;
        let mut this = Self {
            dir,
            mounts: Vec::new(),
        };
        this.mount("bpf")?;
        this.mount("tracefs")?;
        Ok(this)
    }

    fn mount(&mut self, kind: &str) -> Result<()> {
        let at = self.dir.path().join(kind);
        std::fs::create_dir(&at).with_context(|| format!("create {}", at.display()))?;
        let none: Option<&str> = None;
        mount(Some(kind), &at, Some(kind), MsFlags::empty(), none)
            .with_context(|| format!("mount {kind}"))?;
        self.mounts.push(at);
        Ok(())
    }

    /// The mount point of our own bpffs.
    #[must_use]
    pub fn bpffs(&self) -> PathBuf {
        self.dir.path().join("bpf")
    }

    /// The mount point of our own tracefs.
    #[must_use]
    pub fn tracefs(&self) -> PathBuf {
        self.dir.path().join("tracefs")
    }

    /// A cgroup of our own, without processes; made on first use.
    ///
    /// # Errors
    ///
    /// If there is no cgroup2 hierarchy to mount.
    pub fn cgroup(&self) -> Result<PathBuf> {
        let top = self.dir.path().join("cgroup2");
        let ours = top.join(format!("rbpftool-test-{}", std::process::id()));
        if !ours.is_dir() {
            let none: Option<&str> = None;
            std::fs::create_dir_all(&top).context("make a directory to mount cgroup2 on")?;
            mount(
                Some("cgroup2"),
                &top,
                Some("cgroup2"),
                MsFlags::empty(),
                none,
            )
            .context("mount cgroup2")?;
            remove_stale(&top);
            std::fs::create_dir(&ours).with_context(|| format!("create {}", ours.display()))?;
        }
        Ok(ours)
    }

    /// Mounts a bpffs that delegates some rights; whether this kernel knows how (since 6.9).
    ///
    /// # Errors
    ///
    /// If the mount fails in another way than with EINVAL.
    pub fn delegating(&self) -> Result<bool> {
        let at = self.dir.path().join(DELEGATING);
        std::fs::create_dir(&at).with_context(|| format!("create {}", at.display()))?;
        let options = "delegate_cmds=prog_load:map_create:btf_load:link_create:prog_attach,\
                       delegate_maps=hash:array,delegate_attachs=any";
        match mount(
            Some("bpf"),
            &at,
            Some("bpf"),
            MsFlags::empty(),
            Some(options),
        ) {
            Ok(()) => Ok(true),
            Err(nix::Error::EINVAL) => Ok(false),
            Err(e) => Err(e).context("mount a bpffs that delegates"),
        }
    }

    /// A plain directory that goes away with this.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // The namespace would take the mounts with it, but the directory
        // under them can only be removed once they are gone.
        let top = self.dir.path().join("cgroup2");
        if top.is_dir() {
            let ours = top.join(format!("rbpftool-test-{}", std::process::id()));
            remove_cgroup(&ours);
            let _gone = umount2(&top, MntFlags::MNT_DETACH);
        }
        let _gone = umount2(&self.dir.path().join(DELEGATING), MntFlags::MNT_DETACH);
        for at in &self.mounts {
            let _gone = umount2(at, MntFlags::MNT_DETACH);
        }
    }
}

/// Removes what runs that were killed have left behind.
fn remove_stale(top: &Path) {
    let Ok(dir) = std::fs::read_dir(top) else {
        return;
    };
    for entry in dir.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| n.strip_prefix("rbpftool-test-"));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove_cgroup(&entry.path());
        }
    }
}

/// Removes a cgroup and those below it. Their files go with them.
fn remove_cgroup(path: &Path) {
    if let Ok(entries) = std::fs::read_dir(path) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_cgroup(&entry.path());
            }
        }
    }
    let _removed = std::fs::remove_dir(path);
}

/// Namespaces for a whole suite, or why there are none: then each test is skipped by itself and
/// counted.
#[derive(Debug, Clone)]
pub struct Place(Result<Arc<Private>, String>);

impl Place {
    /// Moves this process into namespaces of its own, if it may.
    #[must_use]
    pub fn enter() -> Self {
        Self(Private::enter().map(Arc::new).map_err(|e| format!("{e:#}")))
    }

    /// A test that works there.
    pub fn test(
        &self,
        test: impl FnOnce(&Private) -> Result<()> + Send + 'static,
    ) -> impl FnOnce() -> Result<()> + Send + 'static {
        let place = self.0.clone();
        move || match place {
            Ok(private) => test(&private),
            Err(reason) => Err(crate::skip(reason)),
        }
    }
}
