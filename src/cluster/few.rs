//! A set that mostly has one member, which is then kept in its place: an index of a fleet has a dozen such sets for each
//! Rollout, and a tree of one takes a hundred bytes more.

use std::{borrow::Borrow, collections::BTreeSet};

/// A set that mostly has one member.
#[derive(Debug)]
pub enum Few<T> {
    /// The only one.
    One(T),
    /// Several, or none.
    Many(BTreeSet<T>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few::Many(BTreeSet::new())
    }
}

impl<T: Ord> Few<T> {
    /// Takes a member in.
    pub fn insert(&mut self, member: T) {
        *self = match std::mem::take(self) {
            Few::Many(none) if none.is_empty() => Few::One(member),
            Few::One(one) => Few::Many([one, member].into()),
            Few::Many(mut several) => {
                several.insert(member);
                Few::Many(several)
            }
        };
    }

    /// Takes a member out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, member: &Q)
    where
        T: Borrow<Q>,
    {
        match self {
            Few::One(one) if (*one).borrow() == member => *self = Few::default(),
            Few::One(_) => {}
            Few::Many(several) => {
                several.remove(member);
            }
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Few::One(_) => 1,
            Few::Many(several) => several.len(),
        }
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let (one, several) = match self {
            Few::One(one) => (Some(one), None),
            Few::Many(several) => (None, Some(several)),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is a set, whatever goes in and out.
        #[test]
        fn it_has_what_a_set_has(steps in proptest::collection::vec((any::<bool>(), 0_u8..5), 0..40)) {
            let (mut few, mut set) = (Few::default(), BTreeSet::new());
            for (inserts, member) in steps {
                if inserts {
                    few.insert(member);
                    set.insert(member);
                } else {
                    few.remove(&member);
                    set.remove(&member);
                }
                prop_assert!(few.iter().eq(&set), "{few:?} {set:?}");
                prop_assert_eq!((few.len(), few.is_empty()), (set.len(), set.is_empty()));
            }
        }
    }
}
