//! Pure numerics.
