//! A plan to descriptors.
