//! Logic with three values (Kleene's): what is known, and what depends on something that no metric tells.

use std::ops::Not;

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on this: `paths`, `claims`.
    Depends(&'static str),
}

impl Known {
    /// What is known for certain.
    pub fn of(holds: bool) -> Self {
        if holds { Known::Yes } else { Known::No }
    }

    /// Whether all hold: `Yes` for none.
    pub fn all(values: impl IntoIterator<Item = Known>) -> Self {
        let mut all = Known::Yes;
        for value in values {
            match value {
                Known::No => return Known::No,
                Known::Depends(_) if all == Known::Yes => all = value,
                Known::Depends(_) | Known::Yes => {}
            }
        }
        all
    }

    /// Whether one of them holds: `No` for none.
    pub fn any(values: impl IntoIterator<Item = Known>) -> Self {
        !Known::all(values.into_iter().map(Not::not))
    }
}

impl Not for Known {
    type Output = Known;

    fn not(self) -> Known {
        match self {
            Known::Yes => Known::No,
            Known::No => Known::Yes,
            depends @ Known::Depends(_) => depends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Known::{self, Depends, No, Yes};

    #[test]
    fn what_is_certain_decides_and_what_depends_stays() {
        assert_eq!(Known::all([Yes, Depends("paths"), No]), No);
        assert_eq!(Known::all([Yes, Depends("paths"), Depends("claims")]), Depends("paths"));
        assert_eq!(Known::all([]), Yes);
        assert_eq!(Known::any([No, Depends("paths"), Yes]), Yes);
        assert_eq!(Known::any([No, Depends("paths")]), Depends("paths"));
        assert_eq!(Known::any([]), No);
        assert_eq!((!Yes, !No, !Depends("a")), (No, Yes, Depends("a")));
    }
}
