//! Running a suite: names, turns, time limit, skips told at the end.
#![expect(clippy::print_stdout, reason = "a test harness reports on stdout")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::fds::FdSnapshot;
use crate::mechanisms::{self, Ended};
use crate::outcome::Skip;

/// A test.
pub type TestFn = Box<dyn FnOnce() -> anyhow::Result<()> + Send + 'static>;

/// The tests of one executable.
pub struct Suite {
    name: &'static str,
    serial: bool,
    tests: Vec<(String, TestFn)>,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite")
            .field("name", &self.name)
            .field("tests", &self.tests.len())
            .finish()
    }
}

/// What is running, for the time limit's message.
type Running = Arc<Mutex<BTreeMap<String, Instant>>>;
/// How long the slower tests took.
type Times = Arc<Mutex<Vec<(String, Duration)>>>;
/// (test, reason)
type Skips = Arc<Mutex<Vec<(String, String)>>>;
/// How each test that ran has ended.
type Ends = Arc<Mutex<BTreeMap<String, Ended>>>;

impl Suite {
    /// An empty suite; `name` is the test target's.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            serial: false,
            tests: Vec::new(),
        }
    }

    /// One test at a time, each checked for leaked file descriptors.
    #[must_use]
    pub fn serial(mut self) -> Self {
        self.serial = true;
        self
    }

    /// Adds a test.
    #[must_use]
    pub fn test(
        mut self,
        name: impl Into<String>,
        run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        self.add(name, run);
        self
    }

    /// Adds a test to a suite built in a loop.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) {
        self.tests.push((name.into(), Box::new(run)));
    }

    /// Runs what the command line asks for.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let mut args = Arguments::from_args();
        if self.serial {
            args.test_threads = Some(1);
        }
        let strict = std::env::var_os("RBPF_STRICT").is_some_and(|v| v == "1");
        let skips = Skips::default();
        let running = Running::default();
        let times = Times::default();
        let ends = Ends::default();
        let has = |test: &str| self.tests.iter().any(|(name, _)| name == test);
        let untested: Vec<Trial> = mechanisms::untested(self.name, has)
            .map(|(_, mechanism, test)| {
                Trial::test(format!("mechanism::{mechanism}"), move || {
                    Err(Failed::from(format!("there is no test '{test}'")))
                })
            })
            .collect();
        let trials = self
            .tests
            .into_iter()
            .map(|(name, run)| {
                trial(
                    name,
                    run,
                    self.serial,
                    strict,
                    Arc::clone(&skips),
                    Arc::clone(&running),
                    Arc::clone(&times),
                    Arc::clone(&ends),
                )
            })
            .chain(untested)
            .collect();
        watch(running);
        let conclusion = libtest_mimic::run(&args, trials);
        for (test, reason) in lock(&skips).iter() {
            println!("SKIP {}::{test}: {}", self.name, reason.replace('\n', " "));
        }
        for (test, took) in lock(&times).iter() {
            println!("SLOW {}::{test}: {:.1} s", self.name, took.as_secs_f64());
        }
        let guest = std::env::var_os("RBPF_GUEST").is_some();
        let ended = |test: &str| lock(&ends).get(test).copied();
        for line in mechanisms::lines(self.name, guest, ended) {
            println!("{line}");
        }
        conclusion.exit_code()
    }
}

/// A test that takes longer is named at the end.
const SLOW: Duration = Duration::from_secs(5);

#[expect(clippy::too_many_arguments, reason = "what all tests of a run share")]
fn trial(
    name: String,
    run: TestFn,
    serial: bool,
    strict: bool,
    skips: Skips,
    running: Running,
    times: Times,
    ends: Ends,
) -> Trial {
    Trial::ignorable_test(name.clone(), move || {
        let start = Instant::now();
        lock(&running).insert(name.clone(), start);
        let before = serial.then(FdSnapshot::take);
        let mut result = run();
        if let (Ok(()), Some(before)) = (&result, before) {
            result = before.check();
        }
        lock(&running).remove(&name);
        if start.elapsed() > SLOW {
            lock(&times).push((name.clone(), start.elapsed()));
        }
        let end = match &result {
            Ok(()) => Ended::Passed,
            Err(e) if e.is::<Skip>() => Ended::Skipped,
            Err(_) => Ended::Failed,
        };
        lock(&ends).insert(name.clone(), end);
        match result {
            Ok(()) => Ok(Completion::Completed),
            Err(e) => match e.downcast_ref::<Skip>() {
                Some(skip) if strict => Err(Failed::from(format!("skipped: {skip}"))),
                Some(skip) => {
                    lock(&skips).push((name, skip.reason().to_owned()));
                    Ok(Completion::ignored_with(skip.reason()))
                }
                None => Err(Failed::from(format!("{e:#}"))),
            },
        }
    })
}

/// Ends the process when a test hangs, naming it: a hung kernel test would
/// otherwise hold up everything after it without a word.
fn watch(running: Running) {
    let limit = std::env::var("RBPF_TEST_LIMIT")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(240);
    let limit = Duration::from_secs(limit);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let hung = lock(&running)
                .iter()
                .find(|(_, since)| since.elapsed() > limit)
                .map(|(name, _)| name.clone());
            if let Some(name) = hung {
                println!(
                    "\n{name} is still running after {} s; giving up",
                    limit.as_secs()
                );
                #[expect(clippy::exit, reason = "a hung thread cannot be stopped otherwise")]
                std::process::exit(101);
            }
        }
    });
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
