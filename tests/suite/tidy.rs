//! The rules of the tree that no compiler checks.

#[path = "tidy/commands.rs"]
mod commands;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/parity.rs"]
mod parity;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

use std::process::ExitCode;

use rbpftool_tests::Suite;

fn main() -> ExitCode {
    Suite::new("tidy")
        .test(
            "unsafe_stays_on_its_islands",
            imports::unsafe_stays_on_its_islands,
        )
        .test(
            "crates_depend_downwards_only",
            imports::crates_depend_downwards_only,
        )
        .test("views_know_serde_only", imports::views_know_serde_only)
        .test("pure_stages_ask_nobody", imports::pure_stages_ask_nobody)
        .test("libraries_never_print", imports::libraries_never_print)
        .test("nothing_compiles_c", imports::nothing_compiles_c)
        .test(
            "every_command_has_a_struct_and_a_test",
            commands::every_command_is_covered,
        )
        .test("documented_tasks_exist", commands::documented_tasks_exist)
        .test(
            "suites_and_fuzz_targets_are_declared",
            commands::every_target_is_declared,
        )
        .test(
            "golden_files_come_in_pairs",
            commands::golden_files_come_in_pairs,
        )
        .test(
            "no_machine_paths_or_hosts",
            words::no_machine_paths_or_hosts,
        )
        .test("parity_document_is_current", parity::document_is_current)
        .test(
            "known_bugs_of_bpftool_are_answered",
            parity::known_bugs_are_answered,
        )
        .test("licences_are_there", words::licences_are_there)
        .run()
}
