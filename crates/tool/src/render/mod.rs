//! How answers reach the user: text or JSON, through one buffered writer.
//!
//! Commands build views (plain data in JSON field order); rendering a view as JSON is
//! serializing it, so JSON cannot lack what the text shows. Large answers (map dumps, BTF dumps)
//! are streams of views written one by one.

pub mod escape;
pub mod hexdump;
pub mod json;
pub mod lines;
pub mod sink;
pub mod tree;

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Failure, Result};
use json::Json;
use sink::Sink;

/// The form of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document on one line.
    Json,
    /// The same, indented as bpftool does.
    Pretty,
}

/// Something that can be shown in both forms; `Serialize` is the JSON form.
pub trait View: Serialize {
    /// Writes the text form, its last newline included.
    fn text(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// The destination of everything a command has to say.
pub struct Output<'w> {
    format: Format,
    json: Json<'w>,
    errors: &'w mut dyn Write,
    values: u64,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl<'w> Output<'w> {
    /// Output in `format` to `out`, with remarks and errors going to `errors`.
    pub fn new(format: Format, out: impl Write + 'w, errors: &'w mut dyn Write) -> Self {
        Self {
            format,
            // in text output the document holds bpftool's typed form of map elements, which has
            // the pretty layout
            json: Json::new(Sink::new(out), format != Format::Json),
            errors,
            values: 0,
        }
    }

    /// Whether the answer is to be JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format != Format::Text
    }

    /// The form asked for.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Shows one view: the whole answer of a command.
    pub fn show(&mut self, view: &impl View) -> Result<()> {
        if self.is_json() {
            self.json().value(view)?;
        } else {
            view.text(self.text())?;
        }
        Ok(())
    }

    /// Shows a list: an array in JSON, one after the other as text.
    pub fn show_all<V: View>(&mut self, views: &[V]) -> Result<()> {
        if self.is_json() {
            self.json().value(&views)?;
        } else {
            for view in views {
                view.text(self.text())?;
            }
        }
        Ok(())
    }

    /// Shows the objects a handle selected: one as it is, several as a list.
    pub fn show_selected<V: View>(&mut self, views: &[V]) -> Result<()> {
        match views {
            [view] => self.show(view),
            views => self.show_all(views),
        }
    }

    /// A command that changed something has nothing to show: `null` in JSON.
    pub fn done(&mut self) -> Result<()> {
        if self.is_json() {
            self.json().null()?;
        }
        Ok(())
    }

    /// The JSON writer; a command that takes it has answered.
    pub fn json(&mut self) -> &mut Json<'w> {
        self.values += 1;
        &mut self.json
    }

    /// The text writer.
    pub fn text(&mut self) -> &mut Sink<'w> {
        self.values += 1;
        self.json.sink()
    }

    /// How often something was written; lets a caller see whether a command answered.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.values
    }

    /// A remark that is not part of the answer: standard error, in every format, so that
    /// standard output holds the answer and nothing else.
    pub fn remark(&mut self, line: impl std::fmt::Display) {
        // A closed standard error must not stop the command.
        drop(writeln!(self.errors, "{line}"));
    }

    /// What a command has to tell of its success, beside the answer: standard error, and nothing
    /// in JSON.
    pub fn news(&mut self, line: impl std::fmt::Display) {
        if !self.is_json() {
            self.remark(line);
        }
    }

    /// Reports a failure in the format of the output.
    pub fn fail(&mut self, failure: &Failure, usage: &str) -> Result<()> {
        let Some(message) = failure.message() else {
            return Ok(());
        };
        if self.is_json() {
            #[derive(Serialize)]
            struct Error<'a> {
                error: &'a str,
                #[serde(skip_serializing_if = "Option::is_none")]
                hint: Option<&'a str>,
            }
            return Ok(self.json().value(&Error {
                error: &message,
                hint: failure.hint(),
            })?);
        }
        // What was shown before the failure comes first.
        self.flush()?;
        self.remark(format_args!("Error: {message}"));
        if let Some(hint) = failure.hint() {
            self.remark(format_args!("Hint: {hint}"));
        }
        if failure.is_usage() {
            self.remark(usage.trim_end());
        }
        Ok(())
    }

    /// Ends the document: JSON documents end with a newline.
    pub fn finish(mut self) -> Result<()> {
        if self.is_json() {
            self.json.sink().write_all(b"\n")?;
        }
        self.flush()
    }

    /// Sends everything written so far on its way.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.json.sink().flush()?)
    }
}
