//! How answers reach the user: text or JSON, through one buffered writer.
//!
//! Commands build views (plain data in JSON field order); rendering a view as JSON is
//! serializing it, so JSON cannot lack what the text shows. Large answers (map dumps, BTF dumps)
//! are streams of views written one by one.

pub mod escape;
pub mod hexdump;
pub mod json;
pub mod jsonl;
pub mod lines;
pub mod paint;
pub mod progress;
pub mod sink;
pub mod size;
pub mod table;
pub mod time;
pub mod tree;

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Failure, Result};
use json::Json;
use progress::Progress;
use sink::Sink;
use table::Column;

/// The form of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For people: lists as tables, everything else as text.
    Table,
    /// One JSON document on one line.
    Json,
    /// A JSON document on a line for each element of a list.
    Lines,
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
    look: Look,
    columns: Option<&'static [Column]>,
}

/// How text looks to people.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Sizes are rounded.
    pub human: bool,
    /// Standard output is coloured.
    pub paint: bool,
    /// Standard error is coloured.
    pub paint_errors: bool,
    /// Somebody sees on standard error what goes on.
    pub progress: bool,
    /// Somebody sees the answer come.
    pub answer_is_seen: bool,
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
            json: Json::new(
                Sink::new(out),
                !matches!(format, Format::Json | Format::Lines),
            ),
            errors,
            values: 0,
            look: Look::default(),
            columns: None,
        }
    }

    /// The same, for people who want it to look so.
    #[must_use]
    pub fn with_look(mut self, look: Look) -> Self {
        self.look = look;
        self
    }

    /// Lists that follow have these columns, where they are tables.
    pub fn set_columns(&mut self, columns: Option<&'static [Column]>) {
        self.columns = columns;
    }

    /// Whether the answer is to be JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Lines | Format::Pretty)
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
        } else if let Some(columns) = self.tabular() {
            self.table(columns, view)?;
        } else {
            let human = self.look.human;
            let out = self.text();
            size::written(human, || view.text(out))?;
        }
        Ok(())
    }

    /// The columns, if there are to be any.
    fn tabular(&self) -> Option<&'static [Column]> {
        self.columns.filter(|_| self.format == Format::Table)
    }

    fn table(&mut self, columns: &[Column], answer: &(impl Serialize + ?Sized)) -> Result<()> {
        let answer = serde_json::to_value(answer)
            .map_err(|error| Failure::because("cannot make a table", error))?;
        let (head, rows) = size::written(self.look.human, || table::table(columns, &answer));
        let head = paint::head(&head, self.look.paint);
        let out = self.text();
        for line in [&head].into_iter().chain(&rows) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Shows a list: an array in JSON, one after the other as text.
    pub fn show_all<V: View>(&mut self, views: &[V]) -> Result<()> {
        if self.is_json() {
            self.json().value(&views)?;
        } else if let Some(columns) = self.tabular() {
            self.table(columns, views)?;
        } else {
            let human = self.look.human;
            let out = self.text();
            size::written(human, || views.iter().try_for_each(|view| view.text(out)))?;
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

    /// Shows what goes on, if it takes long: something that is not the answer.
    #[must_use]
    pub fn progress(&self, what: impl Into<String>) -> Progress {
        if self.look.progress {
            return Progress::begin(what, "");
        }
        Progress::default()
    }

    /// Shows how much of the answer was written, if that takes long and the answer goes
    /// elsewhere.
    #[must_use]
    pub fn progress_of_answer(&self, what: &str, units: &'static str) -> Progress {
        if self.look.progress && !self.look.answer_is_seen {
            return Progress::begin(what, units);
        }
        Progress::default()
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
        let word = |style, word: &str| match self.look.paint_errors {
            true => paint::styled(style, word),
            false => word.to_owned(),
        };
        let (error, hint) = (word(paint::ERROR, "Error:"), word(paint::HINT, "Hint:"));
        self.remark(format_args!("{error} {message}"));
        if let Some(text) = failure.hint() {
            self.remark(format_args!("{hint} {text}"));
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
