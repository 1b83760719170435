//! Sections of variables as C structs.

use super::text::Text;
use crate::skeleton::SkeletonError;
use crate::skeleton::shape::{Section, Shape, VarShape};
use btf::c_dump::{Declarations, Declarator};
use btf::{Btf, Type};

/// The section in which qualifiers stay: nobody writes to it.
const KCONFIG: &str = "kconfig";

/// Declares the members of the skeleton that point to sections.
pub(super) fn pointers(
    text: &mut Text,
    shape: &Shape<'_>,
    name: &str,
) -> Result<(), SkeletonError> {
    let Some(btf) = shape.btf else {
        return Ok(());
    };
    let mut types = Declarations::new(btf);
    for (_, section) in shape.sections() {
        text.line(&["\tstruct ", name, "__", &section.ident, " {"]);
        members(text, &mut types, btf, section)?;
        text.line(&["\t} *", &section.ident, ";"]);
    }
    Ok(())
}

fn members(
    text: &mut Text,
    types: &mut Declarations<'_>,
    btf: &Btf<'_>,
    section: &Section,
) -> Result<(), SkeletonError> {
    let mut end = 0u32;
    let mut gaps = 0u32;
    for variable in &section.variables {
        let wrong = |source| failed(section, variable, source);
        let Some(gap) = variable.offset.checked_sub(end) else {
            return Err(SkeletonError::Overlap {
                section: section.ident.clone(),
                variable: variable.name.clone(),
                offset: variable.offset,
                end,
            });
        };
        // Where the header is compiled, types may be aligned to less than here, down to four
        // bytes. Whatever a compiler might not leave out by itself is spelled out.
        let align = btf.align_of(variable.type_id).map_err(wrong)?.clamp(1, 4);
        if end.checked_next_multiple_of(align) != Some(variable.offset) {
            text.line(&[
                "\t\tchar __pad",
                &gaps.to_string(),
                "[",
                &gap.to_string(),
                "];",
            ]);
            gaps += 1;
        }
        let declared = declared(types, section, variable, &variable.ident)?;
        text.line(&["\t\t", &declared, ";"]);
        end = variable.offset.saturating_add(variable.size);
    }
    Ok(())
}

/// Declares the members of a subskeleton: a struct of pointers for each section.
pub(super) fn pointers_to_variables(
    text: &mut Text,
    shape: &Shape<'_>,
    btf: &Btf<'_>,
    name: &str,
) -> Result<(), SkeletonError> {
    let mut types = Declarations::new(btf);
    for (_, section) in shape.named_sections() {
        text.line(&["\tstruct ", name, "__", &section.ident, " {"]);
        for variable in &section.variables {
            let wrong = |source| failed(section, variable, source);
            let declared = declared(&mut types, section, variable, "")?;
            let (_, ty) = btf.resolve(variable.type_id).map_err(wrong)?;
            // A name goes into the middle of such a type.
            let inside = match ty {
                Type::Array(_) => true,
                Type::Ptr(to) => matches!(btf.resolve(to.type_id()), Ok((_, Type::FuncProto(_)))),
                _ => false,
            };
            if inside {
                text.line(&["\t\t__typeof__(", &declared, ") *", &variable.ident, ";"]);
            } else {
                text.line(&["\t\t", &declared, " *", &variable.ident, ";"]);
            }
        }
        text.line(&["\t} ", &section.ident, ";"]);
    }
    Ok(())
}

fn declared(
    types: &mut Declarations<'_>,
    section: &Section,
    variable: &VarShape,
    name: &str,
) -> Result<String, SkeletonError> {
    let how = Declarator {
        name: name.as_bytes(),
        indent: 2,
        strip_modifiers: section.ident != KCONFIG,
    };
    let mut out = Vec::new();
    types
        .write_declarator(&mut out, variable.type_id, how)
        .map_err(|source| failed(section, variable, source))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Has the compiler check the sizes of all variables.
pub(super) fn asserts(text: &mut Text, shape: &Shape<'_>, name: &str) {
    let Some(btf) = shape.btf else {
        return;
    };
    text.put(
        "
__attribute__((unused)) static void
@__assert(struct @ *s __attribute__((unused)))
{
#ifdef __cplusplus
#define _Static_assert static_assert
#endif
",
        name,
    );
    for (_, section) in shape.sections() {
        for variable in &section.variables {
            let Ok(size) = btf.size_of(variable.type_id) else {
                continue;
            };
            let (section, ident) = (&section.ident, &variable.ident);
            text.plain(&format!(
                "\t_Static_assert(sizeof(s->{section}->{ident}) == {size}, \"unexpected size of \
                 '{ident}'\");\n"
            ));
        }
    }
    text.plain(
        "#ifdef __cplusplus
#undef _Static_assert
#endif
}
",
    );
}

fn failed(section: &Section, variable: &VarShape, source: btf::BtfError) -> SkeletonError {
    SkeletonError::Variable {
        section: section.ident.clone(),
        variable: variable.name.clone(),
        source,
    }
}
