//! An enum whose variants are words of an interface: as they are written, and as a later version may write others.

/// An enum of CamelCase words: the text of each is its name, and a word that is none of them is kept.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])+ $word:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$meaning])+ $word,)+
            /// A word of another version, as it was read; empty where none was given yet.
            Unknown(String),
        }

        impl $name {
            /// All words of this version.
            pub const ALL: &[$name] = &[$($name::$word),+];

            /// The word.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$word => stringify!($word),)+
                    $name::Unknown(word) => word,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::Unknown(String::new())
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $(stringify!($word) => $name::$word,)+
                    other => $name::Unknown(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok($name::from(<String as serde::Deserialize>::deserialize(deserializer)?.as_str()))
            }
        }

        // A string without an enum: the CRD of one version must accept the words of the next.
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <String as schemars::JsonSchema>::json_schema(generator)
            }
        }
    };
}

pub(super) use words;
