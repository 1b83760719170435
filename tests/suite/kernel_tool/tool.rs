//! Running the tool in all its forms.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::{Output, run, run_tool};
use serde_json::Value;

/// Arguments split at blanks.
pub(crate) fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

/// Runs it and wants success; what it printed.
pub(crate) fn ok(line: &str) -> Result<Output> {
    let out = run_tool(words(line))?;
    ensure!(
        out.status == 0,
        "$ {line}\nstatus {}\n{}{}",
        out.status,
        out.out(),
        out.err()
    );
    Ok(out)
}

/// Runs it and wants an error that says `why`, in text and in JSON.
pub(crate) fn refused(line: &str, why: &str) -> Result<()> {
    let text = run_tool(words(line))?;
    ensure!(text.status != 0, "$ {line}\nworked: {}", text.out());
    ensure!(text.stdout.is_empty(), "$ {line}\nprinted {}", text.out());
    ensure!(
        text.err().starts_with("Error: ") && text.err().contains(why),
        "$ {line}\nsaid {}",
        text.err()
    );
    let json = run_tool(words(&format!("-j {line}")))?;
    ensure!(
        json.status == text.status,
        "$ -j {line}\nstatus {}",
        json.status
    );
    let value = parsed(&json, line)?;
    let said = value.get("error").and_then(Value::as_str);
    ensure!(
        said.is_some_and(|s| s.contains(why)),
        "$ -j {line}\nsaid {value}"
    );
    Ok(())
}

/// Runs it in text, `-j` and `-p`, wants the same document from both of the
/// latter, and `jq`, if it is there, to agree that it is one; text and JSON.
pub(crate) fn all_forms(line: &str) -> Result<(String, Value)> {
    let text = ok(line)?.out();
    let compact = ok(&format!("-j {line}"))?;
    let pretty = ok(&format!("-p {line}"))?;
    let value = parsed(&compact, line)?;
    ensure!(
        parsed(&pretty, line)? == value,
        "$ {line}\n-j and -p differ: {}{}",
        compact.out(),
        pretty.out()
    );
    for out in [&compact, &pretty] {
        let mut jq = Command::new("jq");
        jq.args(["-e", "."]);
        if let Ok(judged) = run(&mut jq, &out.stdout) {
            ensure!(judged.status == 0, "$ {line}\njq: {}", judged.err());
        }
    }
    Ok((text, value))
}

fn parsed(out: &Output, line: &str) -> Result<Value> {
    ensure!(
        std::str::from_utf8(&out.stdout).is_ok(),
        "$ {line}\nnot UTF-8: {}",
        out.out()
    );
    serde_json::from_slice(&out.stdout).with_context(|| format!("$ {line}\n{}", out.out()))
}

/// A member of an object, as a number.
pub(crate) fn number(value: &Value, key: &str) -> Result<u64> {
    value
        .get(key)
        .and_then(Value::as_u64)
        .with_context(|| format!("no number '{key}' in {value}"))
}

/// A member of an object, as a string.
pub(crate) fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("no string '{key}' in {value}"))
}

/// A member of an object, as a list.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    let list = value.get(key).and_then(Value::as_array);
    list.map(Vec::as_slice)
        .with_context(|| format!("no list '{key}' in {value}"))
}
