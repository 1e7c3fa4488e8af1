//! The kinds of glidepath.dev/v1alpha1 and their validation.
