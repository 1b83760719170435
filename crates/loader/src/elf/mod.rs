//! ELF bytes: sections, symbols and relocations.
