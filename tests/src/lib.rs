//! What the suites share: skips that are counted, private namespaces, running
//! the tools, expected files.
//!
//! A suite is a `[[test]]` with `harness = false` whose `main` fills a
//! [`Suite`]; a test is a function returning [`anyhow::Result`]. A test that
//! cannot run here returns a [`Skip`] (see [`requires!`]), which is printed as
//! `SKIP suite::test: reason` and counted; with `RBPF_STRICT=1` it is a failure.

pub mod blobs;
pub mod compile;
mod expected;
mod fds;
pub mod forge;
pub mod kernel;
mod link_create;
pub mod loaded;
mod mechanisms;
pub mod netlink;
mod ns;
mod outcome;
mod program;
pub mod state;
mod suite;

pub use expected::{Expected, blessing, fixture, root};
pub use fds::{FdSnapshot, fd_targets};
pub use link_create::{ends, link_create};
pub use ns::{Place, Private, has_capability, is_root};
pub use outcome::{Skip, skip};
pub use program::{Output, oracle, run, run_tool, send, tool_path};
pub use suite::{Suite, TestFn};

/// Ends a test as skipped unless `$cond` holds.
///
/// ```
/// fn test() -> anyhow::Result<()> {
///     rbpftool_tests::requires!(1 + 1 == 2, "needs {} arithmetic", "sound");
///     Ok(())
/// }
/// # test().unwrap();
/// ```
#[macro_export]
macro_rules! requires {
    ($cond:expr, $($reason:tt)+) => {
        if !$cond {
            return Err($crate::skip(format!($($reason)+)));
        }
    };
}

/// Ends a test as failed unless both sides are equal; shows both.
#[macro_export]
macro_rules! ensure_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::ensure_eq!($left, $right, "{} == {}", stringify!($left), stringify!($right))
    };
    ($left:expr, $right:expr, $($why:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if left != right {
                    anyhow::bail!("{}\n   left: {left:?}\n  right: {right:?}", format!($($why)+));
                }
            }
        }
    };
}
