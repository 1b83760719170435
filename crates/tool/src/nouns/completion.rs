//! `completion bash|zsh|fish`: the script that a shell reads to complete words.

use std::io::Write;

use crate::command::Context;
use crate::complete::SCRIPTS;
use crate::failure::{Failure, Result};
use crate::words::{Words, shown};

/// `completion { bash | zsh | fish }`
pub fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let word = words.take("'bash', 'zsh' or 'fish'")?;
    words.end()?;
    let script = SCRIPTS.iter().find(|(shell, _)| word == *shell);
    let Some((_, script)) = script else {
        return Err(Failure::new(format_args!(
            "there is no completion for '{}': 'bash', 'zsh' and 'fish' have one",
            shown(word)
        )));
    };
    if context.output.is_json() {
        return Ok(context.output.json().value(script)?);
    }
    Ok(context.output.text().write_all(script.as_bytes())?)
}
