//! What is printed while a local rollout runs: where everything is, then a line for each event.

use std::{net::SocketAddr, path::Path};

use jiff::{Timestamp, tz::TimeZone};
use tokio::sync::mpsc;

use super::{
    args::{LocalArgs, option},
    log::Log,
};
use crate::{
    api::{Rollout, revision},
    cli::{
        args::global::Global,
        changes::Line,
        connect::now,
        exit::CliError,
        program::program,
        render::{
            output::print,
            paint::{Paint, Tone},
            printable::one_line,
            table::{UNLIMITED, wrap},
        },
        target::{pasteable, pasteable_with},
    },
    local::site::{News, Site},
};

/// The printer.
pub struct Lines {
    site: Site,
    heard: mpsc::UnboundedReceiver<News>,
    paint: Paint,
    width: usize,
    log: Log,
    /// How other commands reach this one.
    option: String,
}

impl Lines {
    /// Nothing is printed yet.
    pub fn new(site: &Site, heard: mpsc::UnboundedReceiver<News>, global: &Global) -> Self {
        Lines {
            site: site.clone(),
            heard,
            paint: Paint { on: global.color_on() },
            width: global.width(),
            log: Log::default(),
            option: String::new(),
        }
    }

    /// Where everything is and what to type next.
    pub fn begin(
        &mut self,
        args: &LocalArgs,
        notes: &[String],
        address: Option<SocketAddr>,
        folder: &Path,
    ) -> Result<(), CliError> {
        let rollout = self.site.rollout().unwrap_or_else(|| Rollout::new("", Default::default()));
        let name = rollout.metadata.name.clone().unwrap_or_default();
        let way = match (address, self.site.mesh()) {
            (Some(address), _) => format!("clients use http://{address}"),
            (None, Some(mesh)) => format!("clients use {}", mesh.place()),
            (None, None) => "no client has a way here".to_owned(),
        };
        let mut text = format!("{}: {way}\n", self.paint.text(Tone::Strong, &name));
        text.push_str(&self.places());
        text.push_str(&format!("  state {}\n", folder.display()));
        for note in notes {
            text.push_str(&format!("  note: {}\n", pasteable(note)));
        }
        let local = option(args);
        self.option.clone_from(&local);
        text.push_str(&format!(
            "\nIn another terminal:\n  {glidepath} status {name} --watch {local}\n  {glidepath} set image {name} {} {local}\n\
             Ctrl-C stops it; after a restart the release resumes.\n\n",
            next_image(&rollout),
            glidepath = program()
        ));
        print(&text)
    }

    /// The two addresses with what runs there.
    fn places(&self) -> String {
        let (placement, health) = (self.site.placement(), self.site.health());
        let free = placement.free_place();
        // Before there is a stable version both are free, and the first is meant for it.
        let first = placement.stable_place().unwrap_or(0);
        let mut text = String::new();
        for (role, place) in [("stable", first), ("canary", 1 - first)] {
            let there = &placement.places[place];
            let version = there.occupant.as_deref().and_then(|id| placement.version(id));
            let says = match version {
                Some(version) if version.wanted > 0 => {
                    format!("#{} {}", version.number, revision::images(&version.template).join(", "))
                }
                _ if place == free && placement.stable.is_some() => "free: the next version goes here".to_owned(),
                _ if place == first => "the stable version".to_owned(),
                _ => "free: the next version goes here".to_owned(),
            };
            let up = if health[place].is_up() { String::new() } else { ", does not respond".to_owned() };
            text.push_str(&format!("  {role} {}  {says}{up}\n", there.address));
        }
        text
    }

    /// Waits for something to print.
    pub async fn next(&mut self) -> News {
        match self.heard.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// Prints what it leads to: a transition waits for the end of its tick.
    pub fn print(&mut self, news: News) -> Result<(), CliError> {
        self.log.take(news).iter().try_for_each(|line| self.write(line))
    }

    fn write(&self, line: &Line) -> Result<(), CliError> {
        let (mark, tone) = if line.warning { ("!", Tone::Warn) } else { (" ", Tone::Plain) };
        let text = pasteable_with(&self.option, &one_line(&line.text));
        let text = format!("{mark} {}", self.wrapped(&text));
        print_line(line.at, &self.paint.text(tone, &text))
    }

    /// Prints a text of our own.
    pub fn say(&self, text: &str) -> Result<(), CliError> {
        print_line(now(), &format!("  {}", self.wrapped(text)))
    }

    /// The text behind the time, under itself where it does not fit.
    fn wrapped(&self, text: &str) -> String {
        if self.width == UNLIMITED {
            text.to_owned()
        } else {
            wrap(text, "12:00:00  ! ".len(), self.width).trim().to_owned()
        }
    }

    /// The last line.
    pub fn end(&mut self, drained: Option<bool>) -> Result<(), CliError> {
        while let Ok(news) = self.heard.try_recv() {
            self.print(news)?;
        }
        self.log.rest().iter().try_for_each(|line| self.write(line))?;
        let how = match drained {
            Some(true) => "all requests were completed",
            Some(false) => "requests that took too long were canceled",
            None => "Consul continues to route as it does now",
        };
        print_line(now(), &format!("  stopped: {how}; start it again to resume"))
    }
}

fn print_line(at: Timestamp, text: &str) -> Result<(), CliError> {
    print(&format!("{}  {text}\n", at.to_zoned(TimeZone::system()).strftime("%H:%M:%S")))
}

/// How the next version could be called.
fn next_image(rollout: &Rollout) -> String {
    let container = rollout.spec.template.as_ref().and_then(|template| template.pointer("/spec/containers/0"));
    let container = container.and_then(|container| container["name"].as_str()).unwrap_or("app");
    format!("{container}=IMAGE")
}
