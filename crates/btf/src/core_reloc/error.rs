//! Why a relocation has no answer at all.

use super::Candidate;
use crate::ext::RelocKind;
use crate::{BtfError, Kind, TypeId};

/// A relocation that cannot be resolved: not "the kernel has no such field", which is an
/// answer, but one that makes no sense or has more than one answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A kind newer than this crate.
    #[error("unknown core relocation kind {kind}")]
    UnknownKind {
        /// Its number.
        kind: u32,
    },
    /// The object's own types are defective.
    #[error("defect in the object's btf")]
    Local(#[source] BtfError),
    /// The target's types are defective.
    #[error("defect in the target's btf")]
    Target(#[source] BtfError),
    /// The path is no list of numbers, or not one that the kind takes.
    #[error("access string '{text}' of a {kind} relocation: {why}")]
    AccessString {
        /// The string, escaped, cut when it is long.
        text: String,
        /// The relocation's kind.
        kind: RelocKind,
        /// What is wrong.
        why: &'static str,
    },
    /// A step of the path leads out of a type.
    #[error("access string step {step}: type {id} ({kind}) has {count} elements, not {index}")]
    OutOfBounds {
        /// The step, from 0 on.
        step: usize,
        /// The type that the step starts from.
        id: TypeId,
        /// Its kind.
        kind: Kind,
        /// The element asked for.
        index: u32,
        /// How many there are.
        count: u32,
    },
    /// A step of the path starts from a type that has no parts, or no constants.
    #[error("access string step {step}: type {id} ({kind}) has nothing to step to")]
    NoSteps {
        /// The step, from 0 on.
        step: usize,
        /// The type that the step starts from.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// More than 64 steps, those through anonymous members counted.
    #[error("path in type {id} has more than 64 steps")]
    TooDeep {
        /// Where the path starts.
        id: TypeId,
    },
    /// Types of no name cannot be looked for.
    #[error("{kind} relocation of type {id}, which has no name")]
    Anonymous {
        /// The relocation's kind.
        kind: RelocKind,
        /// The type in the object's BTF.
        id: TypeId,
    },
    /// A question that array elements have no answer to.
    #[error("{kind} relocation of an array element")]
    ArrayElement {
        /// The relocation's kind.
        kind: RelocKind,
    },
    /// A bit field that no 64-bit word holds.
    #[error("{kind} relocation of a field of {bits} bits at bit {bit_offset}: no load reads it")]
    FieldWidth {
        /// The relocation's kind.
        kind: RelocKind,
        /// Bits from the start of the path.
        bit_offset: u64,
        /// Its width.
        bits: u64,
    },
    /// An offset beyond 64 bits.
    #[error("offset of a path in type {id} overflows")]
    Overflow {
        /// Where the path starts.
        id: TypeId,
    },
    /// Two types of the target fit and the field is at different places.
    #[error(
        "ambiguous: the field is at bit {first_offset} of type {} and at bit {second_offset} of type {}",
        first.id, second.id
    )]
    AmbiguousOffset {
        /// One that fits.
        first: Candidate,
        /// Where the field is.
        first_offset: u64,
        /// Another that fits.
        second: Candidate,
        /// Where the field is there.
        second_offset: u64,
    },
    /// Two types of the target fit and give different values.
    #[error(
        "ambiguous: the value is {first_value} with type {} and {second_value} with type {}",
        first.id, second.id
    )]
    AmbiguousValue {
        /// One that fits.
        first: Candidate,
        /// The value with it.
        first_value: u64,
        /// Another that fits.
        second: Candidate,
        /// The value with that.
        second_value: u64,
    },
    /// Types nested or named alike in a way that no compiler makes.
    #[error("comparing with type {id} takes too many steps")]
    TooComplex {
        /// The type that was looked at.
        id: TypeId,
    },
}
