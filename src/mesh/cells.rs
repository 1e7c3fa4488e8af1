//! What each field of a policy becomes on a mesh, or why the mesh does not have it: one table per mesh.

/// One line of a mesh's table. It also holds for the fields below it, unless a line of their own says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The field, by path within the spec; `[]` after a list: `authorization.allow[].from[].cidr`.
    pub path: &'static str,
    /// What it becomes.
    pub becomes: Becomes,
}

/// What a field becomes on a mesh.
#[derive(Clone, Copy, Debug)]
pub enum Becomes {
    /// This of the mesh, in Markdown.
    Native(&'static str),
    /// Nothing: why, and what to do instead.
    Refused(&'static str),
}

/// A field that becomes something.
pub(super) const fn native(path: &'static str, what: &'static str) -> Cell {
    Cell { path, becomes: Becomes::Native(what) }
}

/// A field that is refused.
pub(super) const fn refused(path: &'static str, why: &'static str) -> Cell {
    Cell { path, becomes: Becomes::Refused(why) }
}

/// The line for a field: the longest that is the field or one around it.
pub(super) fn cell<'a>(cells: &'a [Cell], field: &str) -> Option<&'a Cell> {
    cells.iter().filter(|cell| is_within(field, cell.path)).max_by_key(|cell| cell.path.len())
}

/// Whether a field is another one, or below it.
pub(super) fn is_within(field: &str, outer: &str) -> bool {
    field.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with("[]"))
}
