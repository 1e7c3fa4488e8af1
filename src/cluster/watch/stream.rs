//! Lists one kind and watches it on: what the API server says goes into a table, whatever becomes of the connection.
//!
//! kube's own `watcher` does the same for typed objects. This one is ours because it must show more: the list's version
//! (what a list lacks is only then known to be gone), bookmarks and answers (a stream without changes lives too), and
//! each object separately (one that cannot be decoded must not stop the others).

use std::{collections::HashSet, fmt::Display, pin::Pin, time::Duration};

use futures::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use kube::{
    Client, Resource,
    api::{ApiResource, DynamicObject, ListParams, Request, TypeMeta, WatchParams},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    backoff::Backoff,
    failure::Failure,
    list_body::{LONGEST_OBJECT, ListBody},
};
use crate::cluster::{
    health::Health,
    raw_object::{PageMeta, RawObject},
    table::{Change, Kept, Listing, ObjectKey, Row, Table, key_of, number},
};

/// Objects a page.
const PAGE: u32 = 250;
/// A page takes no longer, nor does an answer until it begins, nor a pause within it. The API server itself gives up a request
/// after a minute.
const ANSWER: Duration = Duration::from_secs(60);
/// All objects of a kind in one piece take no longer, while they keep arriving.
const WHOLE: Duration = Duration::from_secs(300);
/// The server ends a watch after this many seconds, and up to as many more so that streams do not end together. A broken
/// connection is noticed within that time, whether or not the server sends bookmarks: some do so only while something moves.
const WATCH: (u32, u32) = (120, 20);
/// A watch that outlives its end by this much is not heard of any more.
const MARGIN: Duration = Duration::from_secs(10);
/// A watch that ends sooner without an event is not restarted faster than a failed one.
const SHORTEST: Duration = Duration::from_secs(1);
/// A stream that lived for so long was well: its next failure is the first again.
const LIVED: Duration = Duration::from_secs(10);
/// Within so many milliseconds a connection that had lived is re-established.
const AT_ONCE: u32 = 100;
/// The server answers with its version within this time.
const VERSION: Duration = Duration::from_secs(10);
/// The longest wait that the server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What to list and watch.
pub struct Stream<'a, T> {
    /// The client for the API server; it must not retry.
    pub client: Client,
    /// The kind.
    pub resource: ApiResource,
    /// The one namespace; all when absent.
    pub namespace: Option<&'a str>,
    /// A label that the objects bear.
    pub label: Option<&'a str>,
    /// Whether only their metadata is asked for.
    pub metadata_only: bool,
    /// Whether the first list may be what the API server has in memory, which may be a little behind etcd. It reads thousands
    /// of objects from etcd in many seconds, whatever it then leaves out.
    pub first_from_memory: bool,
    /// Where they go.
    pub table: &'a Table<T>,
    /// Where it is said how the stream fares.
    pub health: &'a Health,
}

/// One event of a watch.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    what: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// A body that arrives.
type Body = Pin<Box<dyn AsyncBufRead + Send>>;

/// Where a stream is.
struct Progress {
    /// Whether no list was answered yet, nor asked for in vain.
    first: bool,
    /// The version to watch from; a list is needed when absent.
    from: Option<String>,
    /// Objects that were found unreadable, so that each is logged once.
    unread: HashSet<ObjectKey>,
    /// How many events and bookmarks have come.
    events: u64,
    /// Whether the last watch lived long enough to be well.
    lived: bool,
    /// Whether the watch ended otherwise than it should: what answers next may be a server that was restored.
    doubtful: bool,
    /// The last failure, so that one that repeats is logged once.
    failure: Option<String>,
    backoff: Backoff,
}

impl Progress {
    fn new(kind: &str) -> Self {
        let (unread, backoff) = (HashSet::new(), Backoff::new(kind));
        Progress { first: true, from: None, unread, events: 0, lived: false, doubtful: false, failure: None, backoff }
    }
}

impl<T: Kept> Stream<'_, T> {
    /// Follows the kind until the end of time.
    pub async fn follow(&self, changed: impl Fn(&Change<T>) + Send + Sync) {
        let mut progress = Progress::new(&self.resource.kind);
        loop {
            let (began, before) = (Instant::now(), progress.events);
            let ended = self.round(&mut progress, &changed).await;
            let moved = progress.events > before;
            let lived = std::mem::take(&mut progress.lived);
            if moved || lived {
                progress.backoff.reset();
                progress.failure = None;
            }
            let wait = match ended {
                Ok(()) if moved || began.elapsed() >= SHORTEST => continue,
                Ok(()) => Duration::ZERO,
                Err(failure) => {
                    self.failed(&failure, &mut progress);
                    progress.doubtful |= failure.leaves_doubt();
                    if failure.needs_list() {
                        progress.from = None;
                    }
                    // A connection that had lived is re-established at once: most that break do so alone.
                    if lived && matches!(failure, Failure::Broken(_)) {
                        let spread = progress.backoff.below(AT_ONCE);
                        tokio::time::sleep(Duration::from_millis(spread.into())).await;
                        continue;
                    }
                    failure.retry_after()
                }
            };
            let wait = wait.min(LONGEST_WAIT).max(progress.backoff.wait(!self.health.is_listed()));
            tokio::time::sleep(wait).await;
        }
    }

    fn failed(&self, failure: &Failure, progress: &mut Progress) {
        self.health.fails(failure);
        let (kind, text) = (&self.resource.kind, failure.to_string());
        let repeats = progress.failure.as_ref() == Some(&text);
        let is_said = match failure.is_outage() {
            true => self.health.outage().is_due(repeats),
            false => !failure.is_routine() && !repeats,
        };
        match (is_said, failure.is_outage()) {
            (true, true) => tracing::warn!(%kind, error = text, "cannot reach the API server; retrying with backoff"),
            (true, false) => tracing::warn!(%kind, error = text, "watch failed; retrying"),
            (false, _) => tracing::debug!(%kind, error = text, "watch failed; retrying"),
        }
        progress.failure = Some(text);
    }

    /// A list where one is needed, and a watch until it ends.
    async fn round(
        &self,
        progress: &mut Progress,
        changed: &(impl Fn(&Change<T>) + Send + Sync),
    ) -> Result<(), Failure> {
        let from = match progress.from.clone() {
            Some(from) if self.health.is_listed() => {
                if progress.doubtful {
                    self.is_continued(&from).await?;
                }
                from
            }
            _ => self.list(progress, changed).await?,
        };
        (progress.from, progress.doubtful) = (Some(from.clone()), false);
        let (began, before) = (Instant::now(), progress.events);
        let ended = self.watch(from, progress, changed).await;
        progress.lived = began.elapsed() >= LIVED;
        // A server that was restored to before this version shows nothing of it, neither events nor bookmarks, and no error.
        // So does a quiet kind in a well cluster: its bookmarks stop where nothing moves its version.
        progress.doubtful |= progress.events == before && began.elapsed() >= Duration::from_secs(WATCH.0.into());
        ended
    }

    /// Whether a server that was gone is not behind what it said before: one that was restored says nothing on a watch from a
    /// version that it has yet to reach.
    async fn is_continued(&self, from: &str) -> Result<(), Failure> {
        // Without the selector: looking for the first object that it matches may be looking at all there are.
        let params = ListParams { limit: Some(1), ..ListParams::default() };
        let page = within(VERSION, self.read_page(&params, |_| {})).await?;
        let said = page.resource_version.unwrap_or_default();
        if !went_back(from, &said) {
            return Ok(());
        }
        self.health.restored();
        Err(Failure::Restored { known: from.to_owned(), said })
    }

    async fn list(
        &self,
        progress: &mut Progress,
        changed: &(impl Fn(&Change<T>) + Send + Sync),
    ) -> Result<String, Failure> {
        let doubtful = progress.doubtful || !self.health.is_listed();
        let (restores, mut listing) = (self.health.restores(), self.table.list(doubtful));
        let from_memory = self.first_from_memory && progress.first;
        let mut unread = HashSet::new();
        let mut next = None;
        let version = loop {
            let page = self.list_page(progress, from_memory, next, &mut listing, &mut unread).await?;
            next = page.next.filter(|token| !token.is_empty());
            if next.is_none() {
                break page.resource_version.unwrap_or_default();
            }
        };
        if version.is_empty() {
            return Err(Failure::Garbled("the list has no resourceVersion".to_owned()));
        }
        if from_memory {
            // What a server remembers may be from before a restore.
            self.is_continued(&version).await?;
        }
        progress.unread = unread;
        let replaced = self.table.replace(listing, &version);
        replaced.changes.iter().filter(|change| change.matters()).for_each(changed);
        let restores = if replaced.restored { self.health.restored() } else { restores };
        if replaced.restored && !doubtful {
            // What was taken for known may be of the other history: once more.
            return Err(Failure::Undone(version));
        }
        self.health.listed(restores);
        Ok(version)
    }

    /// Takes the objects of one page, or of all that the API server has in memory; that is never in pages.
    async fn list_page(
        &self,
        progress: &mut Progress,
        from_memory: bool,
        token: Option<String>,
        listing: &mut Listing<T>,
        unread: &mut HashSet<ObjectKey>,
    ) -> Result<PageMeta, Failure> {
        let params = ListParams {
            label_selector: self.label.map(str::to_owned),
            limit: (!from_memory).then_some(PAGE),
            resource_version: from_memory.then(|| "0".to_owned()),
            continue_token: token,
            ..ListParams::default()
        };
        let (known, types) = (&progress.unread, self.types());
        let page = self.read_page(&params, |text| {
            if let Some(object) = self.object(text, &types) {
                let row = self.table.listed(listing, &object);
                self.note_fault(&row, known);
                unread.extend(row.fault().map(|_| row.key().clone()));
                listing.take(row);
            }
        });
        let page = within(if from_memory { WHOLE } else { ANSWER }, page).await;
        // A server that is busy or away is asked the same again; one that cannot answer with all at once is asked for pages.
        progress.first &= match &page {
            Ok(_) | Err(Failure::NoAnswer(_)) => false,
            Err(failure) => failure.code() != Some(504),
        };
        page.inspect(|_| self.health.lives())
    }

    /// Reads a page object by object.
    async fn read_page(&self, params: &ListParams, mut object: impl FnMut(&str)) -> Result<PageMeta, Failure> {
        let request = self.request();
        let request = if self.metadata_only { request.list_metadata(params) } else { request.list(params) };
        let mut body = ListBody::new(within(ANSWER, self.begin(request)).await?);
        while let Some(raw) = within(ANSWER, body.next()).await? {
            object(&raw);
        }
        body.meta()
    }

    fn request(&self) -> Request {
        Request::new(DynamicObject::url_path(&self.resource, self.namespace))
    }

    async fn watch(
        &self,
        mut from: String,
        progress: &mut Progress,
        changed: &(impl Fn(&Change<T>) + Send + Sync),
    ) -> Result<(), Failure> {
        let restores = self.health.restores();
        let seconds = WATCH.0 + progress.backoff.below(WATCH.1);
        let mut lines = self.open_watch(&from, seconds).await?;
        self.health.lives();
        // What was known is from before a restore, as another kind has found: only a new list helps.
        if !self.health.is_listed() {
            return Ok(());
        }
        let lasts = Duration::from_secs(seconds.into()) + MARGIN;
        let end = Instant::now() + lasts;
        let (mut line, types) = (Vec::new(), self.types());
        loop {
            line.clear();
            let mut bounded = (&mut lines).take(LONGEST_OBJECT as u64);
            let read = tokio::select! {
                biased;
                () = self.health.restored_beyond(restores) => return Ok(()),
                read = timeout_at(end, bounded.read_until(b'\n', &mut line)) => read,
            };
            let read = match read {
                Ok(read) => read.map_err(|error| Failure::Broken(error.to_string()))?,
                Err(_) => return Err(Failure::Endless(lasts)),
            };
            // An event that is cut off was not seen: the watch is resumed before it.
            if read == 0 || (line.last() != Some(&b'\n') && line.len() != LONGEST_OBJECT) {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line);
            let frame: Frame<'_> = serde_json::from_str(&text).map_err(|error| Failure::Garbled(error.to_string()))?;
            let reached = self.take(&frame, &types, &mut progress.unread, changed)?;
            progress.events += 1;
            self.health.lives();
            if let Some(version) = reached {
                if went_back(&from, &version) {
                    self.health.restored();
                    return Err(Failure::Restored { known: from, said: version });
                }
                // The new list says whether etcd was restored.
                if let Some(written) = self.table.passed_over() {
                    return Err(Failure::PassedOver { written, said: version });
                }
                from.clone_from(&version);
                progress.from = Some(version);
            }
        }
    }

    async fn open_watch(&self, from: &str, seconds: u32) -> Result<Body, Failure> {
        let params = WatchParams {
            label_selector: self.label.map(str::to_owned),
            timeout: Some(seconds),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = self.request();
        let request =
            if self.metadata_only { request.watch_metadata(&params, from) } else { request.watch(&params, from) };
        within(ANSWER, self.begin(request)).await
    }

    /// Sends a request and waits for its answer to begin.
    async fn begin<E: Display>(&self, request: Result<axum::http::Request<Vec<u8>>, E>) -> Result<Body, Failure> {
        let request = request.map_err(|error| Failure::Broken(error.to_string()))?;
        match self.client.request_stream(request).await {
            Ok(stream) => Ok(Box::pin(stream)),
            Err(error) => Err(Failure::of(&error)),
        }
    }

    /// Takes one event in; gives the version that the stream has reached by it.
    fn take(
        &self,
        frame: &Frame<'_>,
        types: &TypeMeta,
        unread: &mut HashSet<ObjectKey>,
        changed: &(impl Fn(&Change<T>) + Send + Sync),
    ) -> Result<Option<String>, Failure> {
        if frame.what == "ERROR" {
            let status = serde_json::from_str(frame.object.get());
            return Err(status.map_or_else(|error| Failure::Garbled(error.to_string()), Failure::Answered));
        }
        if frame.what == "BOOKMARK" {
            let mark: Mark = serde_json::from_str(frame.object.get()).unwrap_or_default();
            self.table.reached(&mark.metadata.resource_version);
            return Ok(Some(mark.metadata.resource_version).filter(|version| !version.is_empty()));
        }
        let Some(object) = self.object(frame.object.get(), types) else { return Ok(None) };
        let change = if frame.what == "DELETED" {
            unread.remove(&key_of(object.metadata()));
            self.table.deleted(object.metadata())
        } else if self.table.knows(object.metadata()) {
            None
        } else {
            let row = Row::of(&object);
            self.note_fault(&row, unread);
            match row.fault() {
                Some(_) => unread.insert(row.key().clone()),
                None => unread.remove(row.key()),
            };
            self.table.seen(row)
        };
        change.iter().filter(|change| change.matters()).for_each(changed);
        Ok(object.into_metadata().resource_version)
    }

    /// Reads the metadata of an object.
    fn object<'o>(&self, text: &'o str, types: &'o TypeMeta) -> Option<RawObject<'o>> {
        let object = RawObject::item(text, types);
        let kind = &self.resource.kind;
        object.inspect_err(|why| tracing::warn!(%kind, %why, "an object without valid metadata is skipped")).ok()
    }

    /// An object that cannot be read is logged the first time.
    fn note_fault(&self, row: &Row<T>, unread: &HashSet<ObjectKey>) {
        let Some(why) = row.fault().filter(|_| !unread.contains(row.key())) else { return };
        let (kind, ObjectKey { namespace, name }) = (&self.resource.kind, row.key());
        tracing::warn!(%kind, %namespace, %name, %why, "cannot read an object");
    }

    fn types(&self) -> TypeMeta {
        TypeMeta { api_version: self.resource.api_version.clone(), kind: self.resource.kind.clone() }
    }
}

/// What takes longer has no answer.
async fn within<V>(limit: Duration, answer: impl Future<Output = Result<V, Failure>>) -> Result<V, Failure> {
    timeout(limit, answer).await.unwrap_or(Err(Failure::NoAnswer(limit)))
}

/// A bookmark.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Mark {
    metadata: MarkMeta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MarkMeta {
    resource_version: String,
}

/// Within one stream versions grow. After an etcd restore a server may continue with lower ones, without an error.
fn went_back(known: &str, said: &str) -> bool {
    matches!((number(known), number(said)), (Some(known), Some(said)) if said < known)
}
