//! What a table shows after writes, events, lists, gaps and restores.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cluster::answer::Answer;

#[derive(Clone, Debug, PartialEq)]
struct Colour(String, Option<String>);
impl Kept for Colour {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        Ok(Colour(object.read("colour")?, object.get("group")))
    }
    fn group(&self) -> Option<&str> {
        self.1.as_deref()
    }
    fn is_selected(meta: &ObjectMeta) -> bool {
        meta.labels.as_ref().is_none_or(|labels| !labels.contains_key("hidden"))
    }
}

fn object(name: &str, version: u64, colour: &str) -> Answer {
    born(name, name, version, colour)
}

fn born(name: &str, uid: &str, version: u64, colour: &str) -> Answer {
    let object = json!({
        "metadata": {"name": name, "namespace": "n", "uid": uid, "resourceVersion": version.to_string()},
        "colour": colour, "group": "g"});
    Answer::new(object.to_string()).unwrap()
}

fn row(object: &Answer) -> Row<Colour> {
    Row::of(&object.object().unwrap())
}

fn item(name: &str, version: u64, colour: &str) -> Row<Colour> {
    row(&object(name, version, colour))
}

fn colour(table: &Table<Colour>, name: &str) -> Option<String> {
    table.get("n", name).map(|entry| entry.value.0.clone())
}

fn names(table: &Table<Colour>) -> Vec<String> {
    table.group("n", "g").iter().map(|entry| entry.key.name.clone()).collect()
}

/// One object of a list.
fn take(table: &Table<Colour>, listing: &mut Listing<Colour>, object: &Answer) {
    let row = table.listed(listing, &object.object().unwrap());
    listing.take(row);
}

/// A whole list, during which `meanwhile` happens.
fn list(table: &Table<Colour>, version: u64, objects: &[Answer], meanwhile: impl FnOnce()) -> Vec<Change<Colour>> {
    let mut listing = table.list(false);
    objects.iter().for_each(|object| take(table, &mut listing, object));
    meanwhile();
    table.replace(listing, &version.to_string()).changes
}

/// M6's kind (random history 687): a stream that resumes at exactly the version of the backup sees no version go back.
#[test]
fn a_write_of_ours_that_the_watch_goes_past_was_undone_by_a_restore() {
    let table = Table::<Colour>::default();
    list(&table, 232, &[object("a", 218, "red")], || ());
    table.wrote(&object("a", 236, "blue"));
    table.seen(item("b", 234, "red"));
    assert_eq!(table.passed_over(), None, "the watch is behind, as it may be");
    table.reached("235");
    assert_eq!(table.passed_over(), None);
    table.reached("237");
    assert_eq!(table.passed_over(), Some(236));
    list(&table, 240, &[object("a", 218, "red"), object("b", 234, "red")], || ());
    assert_eq!((table.passed_over(), colour(&table, "a").as_deref()), (None, Some("red")));
}

/// The list shows whether it was a restore, or a server that left an event out.
#[test]
fn a_list_without_a_write_of_ours_that_it_must_hold_is_from_a_backup() {
    let restored = |listed: Answer, version: u64| {
        let table = Table::<Colour>::default();
        list(&table, 232, &[object("a", 218, "red")], || ());
        table.wrote(&object("a", 236, "blue"));
        let mut listing = table.list(false);
        take(&table, &mut listing, &listed);
        table.replace(listing, &version.to_string()).restored
    };
    assert!(restored(object("a", 218, "red"), 240), "our write at 236 is undone");
    assert!(!restored(object("a", 236, "blue"), 240));
    assert!(!restored(object("a", 239, "green"), 240), "changed since");
    let another = born("a", "another", 220, "red");
    assert!(!restored(another, 240), "deleted, and created again by another client");
}

/// A tenant takes the label off a ReplicaSet of ours, and we write to it: the watch will never show that write.
#[test]
fn a_write_to_an_object_that_the_watch_does_not_select_is_not_waited_for() {
    let table = Table::<Colour>::default();
    table.seen(item("a", 100, "red"));
    let mut unlabelled = object("a", 101, "blue");
    unlabelled.metadata.labels = Some(BTreeMap::from([("hidden".to_owned(), String::new())]));
    table.wrote(&unlabelled);
    assert_eq!(colour(&table, "a"), None, "for the watch it is gone");
    table.reached("150");
    assert_eq!(table.passed_over(), None);
}

#[test]
fn a_write_of_ours_that_the_watch_shows_is_not_passed_over() {
    let table = Table::<Colour>::default();
    table.wrote(&object("a", 5, "blue"));
    table.seen(item("a", 5, "blue"));
    table.wrote(&object("b", 6, "blue"));
    table.seen(item("b", 7, "red"));
    table.wrote(&object("c", 8, "blue"));
    table.deleted(&object("c", 9, "blue").metadata);
    table.wrote(&object("d", 10, "blue"));
    table.gone("n", "d");
    table.reached("20");
    assert_eq!(table.passed_over(), None);
    table.wrote(&object("a", 19, "red"));
    assert_eq!(
        colour(&table, "a").as_deref(),
        Some("blue"),
        "the watch has shown everything up to 20: this was undone"
    );
    assert_eq!(table.passed_over(), None);
}

#[test]
fn an_event_older_than_our_own_write_is_ignored() {
    let table = Table::<Colour>::default();
    table.seen(item("a", 1, "red"));
    table.wrote(&object("a", 5, "blue"));
    assert!(table.seen(item("a", 3, "green")).is_none());
    assert_eq!(colour(&table, "a").as_deref(), Some("blue"));
    assert!(table.seen(item("a", 5, "blue")).is_none(), "our own write comes back: no trigger");
    let change = table.seen(item("a", 6, "blue")).unwrap();
    assert!(!change.matters(), "only the version moved");
    assert!(table.seen(item("a", 10, "red")).unwrap().matters(), "versions are numbers, not texts");
}

/// Our last write, deleted by another client while the watch was broken, is gone with the next list, although nothing
/// in that list is newer than our write (M5).
#[test]
fn a_list_removes_what_we_wrote_and_others_deleted_meanwhile() {
    let table = Table::<Colour>::default();
    table.seen(item("a", 4, "red"));
    for (came_back, at) in [(true, 9), (false, 29)] {
        table.wrote(&object("b", at, "blue"));
        if came_back {
            table.seen(item("b", at, "blue"));
        }
        assert_eq!(list(&table, at + 3, &[object("a", 4, "red")], || ()).len(), 1);
        assert_eq!(names(&table), ["a"], "came back: {came_back}");
    }
}

/// M5.
#[test]
fn what_we_wrote_while_a_list_was_taken_stays_when_it_is_newer_than_the_list() {
    let table = Table::<Colour>::default();
    table.seen(item("a", 1, "red"));
    let meanwhile = || {
        table.wrote(&object("a", 11, "blue"));
        table.wrote(&object("b", 12, "blue"));
        table.wrote(&object("c", 8, "blue"));
    };
    list(&table, 10, &[object("a", 1, "red")], meanwhile);
    assert_eq!(names(&table), ["a", "b"], "the list at 10 would hold c if it had not been deleted");
    assert_eq!(colour(&table, "a").as_deref(), Some("blue"));
}

/// M6.
#[test]
fn after_a_restore_of_etcd_the_list_wins_though_its_versions_are_lower() {
    let table = Table::<Colour>::default();
    for name in ["a", "b"] {
        table.seen(item(name, 1000, "new"));
    }
    table.wrote(&object("c", 1005, "new"));
    let changes = list(&table, 501, &[object("a", 400, "old"), object("d", 401, "old")], || ());
    assert_eq!(changes.iter().filter(|change| change.matters()).count(), 4);
    assert_eq!(names(&table), ["a", "d"]);
    assert_eq!(colour(&table, "a").as_deref(), Some("old"));
    assert!(table.seen(item("a", 502, "newer")).is_some(), "and later events are applied");
    table.wrote(&object("a", 503, "ours"));
    assert_eq!(colour(&table, "a").as_deref(), Some("ours"));
}

/// M5's kind: an answer that is late must not bring back what is gone.
#[test]
fn a_late_answer_to_a_write_brings_nothing_back() {
    let table = Table::<Colour>::default();
    table.seen(item("a", 1, "red"));
    table.deleted(&object("a", 7, "red").metadata);
    table.wrote(&object("a", 5, "blue"));
    assert!(names(&table).is_empty());
    table.wrote(&born("a", "second", 9, "blue"));
    table.deleted(&object("a", 7, "red").metadata);
    assert_eq!(colour(&table, "a").as_deref(), Some("blue"), "the deletion was that of the first one");
}

/// C3.
#[test]
fn an_object_that_cannot_be_read_is_absent_and_says_why() {
    let table = Table::<Colour>::default();
    table.seen(item("a", 1, "red"));
    let metadata = json!({"name": "a", "namespace": "n", "uid": "a", "resourceVersion": "2"});
    let unread = Answer::new(json!({"metadata": metadata, "colour": 7}).to_string()).unwrap();
    let says = |table: &Table<Colour>| table.unreadable("n", "a").is_some_and(|why| why.starts_with("colour: invalid"));
    assert!(table.seen(row(&unread)).unwrap().matters());
    assert!(colour(&table, "a").is_none() && says(&table));
    list(&table, 3, &[unread], || ());
    assert!(says(&table));
    table.seen(item("a", 4, "red"));
    assert_eq!((colour(&table, "a").is_some(), table.unreadable("n", "a")), (true, None));
}

#[derive(Clone, Debug)]
enum Op {
    /// Somebody writes.
    Foreign(u8),
    /// Somebody deletes.
    Delete(u8),
    /// We write; the answer comes later.
    Own(u8),
    /// One of the outstanding answers comes.
    Answer(usize),
    /// The watch shows its next event.
    Event,
    /// The watch shows a bookmark, when it has shown all events.
    Bookmark,
    /// The watch breaks.
    Gap,
    /// A list begins, is taken by the server, ends.
    List,
    /// etcd is saved.
    Save,
    /// etcd is restored: the API servers restart, so outstanding answers are lost.
    Restore,
}

fn op() -> impl Strategy<Value = Op> {
    let name = 0..4_u8;
    prop_oneof![
        3 => name.clone().prop_map(Op::Foreign),
        2 => name.clone().prop_map(Op::Delete),
        4 => name.prop_map(Op::Own),
        4 => (0..4_usize).prop_map(Op::Answer),
        6 => Just(Op::Event),
        1 => Just(Op::Bookmark),
        1 => Just(Op::Gap),
        3 => Just(Op::List),
        1 => Just(Op::Save),
        1 => Just(Op::Restore),
    ]
}

#[derive(Clone, Default)]
struct Store {
    version: u64,
    births: u64,
    /// Writes in all histories: no two have one content, if that is asked for.
    writes: Option<u64>,
    objects: BTreeMap<String, Answer>,
    /// What happened: the object, and whether it was deleted.
    log: Vec<(u64, Answer, bool)>,
}

impl Store {
    fn write(&mut self, name: u8) -> Answer {
        self.version += 1;
        let name = name.to_string();
        let uid = self.objects.get(&name).and_then(|known| known.metadata.uid.clone()).unwrap_or_else(|| {
            self.births += 1;
            format!("{name}-{}", self.births)
        });
        let content = self.writes.as_mut().map(|writes| {
            *writes += 1;
            *writes
        });
        let object = born(&name, &uid, self.version, &format!("c{}", content.unwrap_or(self.version)));
        self.objects.insert(name, object.clone());
        self.log.push((self.version, object.clone(), false));
        object
    }

    fn delete(&mut self, name: u8) {
        let Some(mut object) = self.objects.remove(&name.to_string()) else { return };
        self.version += 1;
        object.metadata.resource_version = Some(self.version.to_string());
        self.log.push((self.version, object, true));
    }
}

/// A list under way: begun, or taken by the server.
type Taken = (Listing<Colour>, Option<(u64, Vec<Answer>)>);

#[derive(Default)]
struct World {
    store: Store,
    saved: Option<Store>,
    table: Table<Colour>,
    answers: Vec<Answer>,
    /// Up to where the watch has shown events; `None` while it is broken.
    watch: Option<u64>,
    listing: Option<Taken>,
    /// Whether the server was away since the last list.
    doubtful: bool,
}

impl World {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::Foreign(name) => drop(self.store.write(*name)),
            Op::Delete(name) => self.store.delete(*name),
            Op::Own(name) => {
                let answer = self.store.write(*name);
                self.answers.push(answer);
            }
            Op::Answer(which) if *which < self.answers.len() => self.table.wrote(&self.answers.remove(*which)),
            Op::Answer(_) => {}
            Op::Event => drop(self.event()),
            Op::Bookmark => {
                if self.watch.is_some() && !self.event() {
                    self.table.reached(&self.store.version.to_string());
                }
            }
            Op::Gap => self.watch = None,
            Op::List => self.list(),
            Op::Save => self.saved = Some(self.store.clone()),
            Op::Restore => self.restore(),
        }
    }

    fn event(&mut self) -> bool {
        let Some(shown) = self.watch else { return false };
        let Some((version, object, deleted)) = self.store.log.iter().find(|(at, ..)| *at > shown).cloned() else {
            return false;
        };
        self.watch = Some(version);
        if deleted {
            self.table.deleted(&object.metadata);
        } else {
            self.table.seen(row(&object));
        }
        true
    }

    fn list(&mut self) {
        if self.watch.is_some() {
            return;
        }
        self.listing = match self.listing.take() {
            None => Some((self.table.list(self.doubtful), None)),
            Some((listing, None)) => {
                Some((listing, Some((self.store.version, self.store.objects.values().cloned().collect()))))
            }
            Some((mut listing, Some((version, objects)))) => {
                for object in objects {
                    take(&self.table, &mut listing, &object);
                }
                self.table.replace(listing, &version.to_string());
                (self.watch, self.doubtful) = (Some(version), false);
                None
            }
        };
    }

    fn restore(&mut self) {
        let Some(saved) = self.saved.clone() else { return };
        let (births, writes) = (self.store.births, self.store.writes);
        self.store = Store { births, writes, ..saved };
        // It was noticed that the server was away; or a watch that was behind the backup resumes there as if nothing had
        // happened.
        self.doubtful = writes.is_some();
        self.watch = self.watch.filter(|at| *at <= self.store.version && !self.doubtful);
        self.listing = None;
        self.answers.clear();
    }

    /// Everything that is under way arrives, and the versions of other kinds grow past all that was ever known.
    fn settle(&mut self) {
        self.catch_up();
        self.store.version = self.store.version.max(self.table.list(false).highest) + 1;
        self.table.reached(&self.store.version.to_string());
        if self.table.passed_over().is_some() {
            self.watch = None;
            self.catch_up();
        }
    }

    fn catch_up(&mut self) {
        while self.watch.is_none() {
            self.list();
        }
        while self.event() {}
        std::mem::take(&mut self.answers).iter().for_each(|answer| self.table.wrote(answer));
    }

    fn shown(&self) -> BTreeMap<String, (String, String)> {
        let all = self.table.all();
        all.iter().map(|e| (e.key.name.clone(), (e.version.clone(), e.value.0.clone()))).collect()
    }

    fn stored(&self) -> BTreeMap<String, (String, String)> {
        let objects = self.store.objects.iter();
        let row = |object: &Answer| {
            (version_of(&object.metadata).to_owned(), Entry::<Colour>::answered(object).unwrap().value.0)
        };
        objects.map(|(name, object)| (name.clone(), row(object))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// M5, M6: whatever happened and in whichever order it was heard of, in the end the table is what the server stores.
    #[test]
    fn a_table_ends_as_the_server(ops in proptest::collection::vec(op(), 0..60)) {
        let mut world = World::default();
        ops.iter().for_each(|op| world.apply(op));
        world.settle();
        prop_assert_eq!(world.shown(), world.stored());
        prop_assert_eq!(names(&world.table).len(), world.store.objects.len());
    }

    /// M6's kind (random history 1856): a version may be of another content after a restore.
    #[test]
    fn a_table_ends_as_a_server_that_was_away(ops in proptest::collection::vec(op(), 0..60)) {
        let store = Store { writes: Some(0), ..Store::default() };
        let mut world = World { store, ..World::default() };
        ops.iter().for_each(|op| world.apply(op));
        world.settle();
        prop_assert_eq!(world.shown(), world.stored());
    }

    /// Kube rule 5: while nothing was restored, no object is ever shown as it was before our own last write that was answered.
    #[test]
    fn a_table_never_shows_an_object_as_before_our_own_write(ops in proptest::collection::vec(op(), 0..60)) {
        let mut world = World::default();
        let mut known: BTreeMap<String, u64> = BTreeMap::new();
        for op in ops.iter().filter(|op| !matches!(op, Op::Restore)) {
            if let Op::Answer(which) = op && let Some(answer) = world.answers.get(*which) {
                let version = number(version_of(&answer.metadata)).unwrap();
                let newest = known.entry(answer.metadata.name.clone().unwrap()).or_default();
                *newest = version.max(*newest);
            }
            world.apply(op);
            for entry in world.table.all() {
                prop_assert!(number(&entry.version) >= known.get(&entry.key.name).copied(), "{entry:?} {known:?}");
            }
        }
    }
}
