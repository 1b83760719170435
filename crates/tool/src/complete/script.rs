//! The scripts that bind shells to [`super::answer`].

/// The shells, and what each is told.
pub const SCRIPTS: [(&str, &str); 3] = [
    ("bash", include_str!("script.bash")),
    ("zsh", include_str!("script.zsh")),
    ("fish", include_str!("script.fish")),
];
