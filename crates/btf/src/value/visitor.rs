//! The parts of a value one after the other, and the tree that is made of them.

use core::convert::Infallible;

use super::{Composite, Field, Value};
use crate::TypeId;
use crate::types::Name;

/// Gets the parts of a value in order: see [`visit`](super::visit).
pub trait Visitor<'a> {
    /// What stops the walk.
    type Error;

    /// A value without parts: any but [`Value::Array`], [`Value::Struct`], [`Value::Var`] and
    /// [`Value::Datasec`].
    ///
    /// # Errors
    /// To stop.
    fn leaf(&mut self, value: Value<'a>) -> Result<(), Self::Error>;

    /// A value with parts, which follow; about `parts` of them, or fewer.
    ///
    /// # Errors
    /// To stop.
    fn begin(&mut self, group: Group<'a>, parts: usize) -> Result<(), Self::Error>;

    /// The name of the next part of a struct or union.
    ///
    /// # Errors
    /// To stop.
    fn member(&mut self, name: Name<'a>) -> Result<(), Self::Error>;

    /// The end of what the matching [`begin`](Self::begin) told of.
    ///
    /// # Errors
    /// To stop.
    fn end(&mut self, group: Group<'a>) -> Result<(), Self::Error>;
}

/// A value with parts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Group<'a> {
    /// [`Value::Array`].
    Array,
    /// [`Value::Struct`].
    Struct {
        /// The type.
        type_id: TypeId,
        /// Whether all members start at the same place.
        is_union: bool,
    },
    /// [`Value::Var`]; has one part.
    Var {
        /// Its name.
        name: Name<'a>,
    },
    /// [`Value::Datasec`].
    Datasec {
        /// The section's name.
        name: Name<'a>,
    },
}

/// Makes the tree.
pub(super) struct Builder<'a> {
    open: Vec<Open<'a>>,
    /// What is not in anything else.
    done: Value<'a>,
}

enum Open<'a> {
    Items(Vec<Value<'a>>),
    Members(Vec<Field<'a>>, Option<Name<'a>>),
    One(Value<'a>),
}

impl<'a> Builder<'a> {
    pub(super) const fn new() -> Self {
        Self {
            open: Vec::new(),
            done: Value::Omitted,
        }
    }

    pub(super) fn finish(self) -> Value<'a> {
        self.done
    }

    fn put(&mut self, value: Value<'a>) {
        match self.open.last_mut() {
            None => self.done = value,
            Some(Open::Items(items)) => items.push(value),
            Some(Open::One(one)) => *one = value,
            Some(Open::Members(members, name)) => {
                if let Some(name) = name.take() {
                    members.push(Field { name, value });
                }
            }
        }
    }
}

impl<'a> Visitor<'a> for Builder<'a> {
    type Error = Infallible;

    #[inline]
    fn leaf(&mut self, value: Value<'a>) -> Result<(), Infallible> {
        self.put(value);
        Ok(())
    }

    fn begin(&mut self, group: Group<'a>, parts: usize) -> Result<(), Infallible> {
        self.open.push(match group {
            Group::Array | Group::Datasec { .. } => Open::Items(Vec::with_capacity(parts)),
            Group::Struct { .. } => Open::Members(Vec::with_capacity(parts), None),
            Group::Var { .. } => Open::One(Value::Omitted),
        });
        Ok(())
    }

    #[inline]
    fn member(&mut self, name: Name<'a>) -> Result<(), Infallible> {
        if let Some(Open::Members(_, next)) = self.open.last_mut() {
            *next = Some(name);
        }
        Ok(())
    }

    fn end(&mut self, group: Group<'a>) -> Result<(), Infallible> {
        let value = match (self.open.pop(), group) {
            (Some(Open::Items(vars)), Group::Datasec { name }) => Value::Datasec { name, vars },
            (Some(Open::Items(items)), _) => Value::Array(items),
            (Some(Open::Members(members, _)), Group::Struct { type_id, is_union }) => {
                Value::Struct(Composite {
                    type_id,
                    is_union,
                    members,
                })
            }
            (Some(Open::One(value)), Group::Var { name }) => Value::Var {
                name,
                value: Box::new(value),
            },
            // begins and ends match
            _ => return Ok(()),
        };
        self.put(value);
        Ok(())
    }
}
