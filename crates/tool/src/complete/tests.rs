use std::ffi::OsString;

use super::answer;
use crate::kernel::Kernel;

fn ask(line: &str) -> Vec<String> {
    let words: Vec<_> = line.split(' ').map(OsString::from).collect();
    let mut out = Vec::new();
    answer(&Kernel::default(), &words, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let words = text
        .lines()
        .map(|line| line.split('\t').next().unwrap_or_default());
    words.map(str::to_owned).collect()
}

#[test]
fn words_of_the_grammar_are_offered() {
    assert_eq!(ask("pr"), ["prog", ":none"]);
    assert_eq!(ask("prog dump "), ["jited", "xlated", ":none"]);
    assert_eq!(ask("p d x"), ["xlated", ":none"]);
    assert_eq!(
        ask("-j -B base prog dump xlated "),
        ["id", "name", "pinned", "tag", ":none"]
    );
    assert_eq!(
        ask("map create /x type percpu_"),
        [
            "percpu_array",
            "percpu_cgroup_storage",
            "percpu_hash",
            ":none"
        ]
    );
    assert_eq!(ask("btf dump file x format "), ["c", "raw", ":none"]);
    assert_eq!(ask("net attach xdpd"), ["xdpdrv", ":none"]);
    assert_eq!(
        ask("prog attach id 1 netki"),
        ["netkit_peer", "netkit_primary", ":none"]
    );
    assert_eq!(ask("link create netfilter ipv4 o"), ["output", ":none"]);
    assert_eq!(ask("completion "), ["bash", "fish", "zsh", ":none"]);
}

#[test]
fn options_and_their_arguments_are_offered() {
    assert_eq!(ask("prog show --js"), ["--json", ":none"]);
    assert_eq!(ask("gen skeleton x --lang "), ["c", "rust", ":none"]);
    assert_eq!(ask("-B "), [":files"]);
    assert_eq!(ask("--base-btf "), [":files"]);
}

#[test]
fn names_of_files_may_stand_where_files_are_named() {
    assert_eq!(ask("prog load "), [":files"]);
    assert_eq!(ask("cgroup show "), [":directories"]);
    assert_eq!(ask("batch file "), [":files"]);
}

#[test]
fn nothing_is_offered_behind_a_wrong_word() {
    assert_eq!(ask("porg "), [":none"]);
    assert_eq!(ask("prog shwo "), [":none"]);
    assert_eq!(ask("prog show id 1 "), [":none"]);
}

#[test]
fn the_network_devices_of_this_machine_are_offered() {
    assert!(ask("net show dev l").contains(&"lo".to_owned()));
}
