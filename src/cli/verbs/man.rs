//! `glidepath man`: the manual pages, from what the help is made of.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::cli::{
    exit::{CliError, Exit},
    render::output::print,
};

/// Write the manual pages
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath man --write /usr/local/share/man/man1")]
pub struct ManArgs {
    /// The folder that the pages are written to, one for each verb; made when it does not exist
    #[arg(long, value_name = "DIR")]
    pub write: PathBuf,
}

/// Writes a page for each verb.
pub fn run(args: &ManArgs, command: clap::Command) -> Result<Exit, CliError> {
    let folder = &args.write;
    let pages = pages(command)?;
    let written = write(folder, &pages);
    written.map_err(|error| CliError::Failed(format!("cannot write to {}: {error}", folder.display())))?;
    print(&format!("{} manual pages written to {}\n", pages.len(), folder.display()))?;
    Ok(Exit::Done)
}

fn write(folder: &Path, pages: &[(String, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    pages.iter().try_for_each(|(name, page)| fs::write(folder.join(name), page))
}

/// The name of each page and its text.
fn pages(command: clap::Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = command.bin_name("glidepath");
    root.build();
    let (mut pages, mut open) = (Vec::new(), vec![root]);
    while let Some(verb) = open.pop() {
        open.extend(verb.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned());
        let man = Man::new(verb.clone());
        pages.push((man.get_filename(), page(&verb, &man)?));
    }
    Ok(pages)
}

fn page(verb: &clap::Command, man: &Man) -> io::Result<Vec<u8>> {
    let mut page = title(verb).into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if verb.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = verb.get_after_help() {
        below(&help.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

/// The date stays empty, so that the same source gives the same page; `Man` would leave the field out.
fn title(verb: &clap::Command) -> String {
    let name = verb.get_display_name().unwrap_or_else(|| verb.get_name()).to_uppercase();
    format!(".TH \"{name}\" \"1\" \"\" \"glidepath {}\" \"Glidepath\"\n", env!("CARGO_PKG_VERSION"))
}

/// What the help says below the options: `Examples:` begins a section, what is indented keeps its lines.
fn below(help: &str) -> Roff {
    let mut roff = Roff::new();
    let (mut as_it_is, mut in_section, mut after_blank) = (false, false, false);
    for line in help.lines() {
        let indented = line.starts_with(' ');
        if as_it_is != indented && !line.is_empty() {
            roff.control(if indented { "nf" } else { "fi" }, []);
            as_it_is = indented;
        }
        match line.strip_suffix(':').filter(|_| !indented) {
            Some(heading) => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
                (in_section, after_blank) = (true, false);
            }
            None if line.is_empty() => after_blank = true,
            None => {
                if !in_section {
                    roff.control("SH", ["NOTES"]);
                    in_section = true;
                } else if after_blank {
                    roff.control("PP", []);
                }
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
                after_blank = false;
            }
        }
    }
    if as_it_is {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::root::command;

    /// The words of a page, as they are read: without what roff needs around them.
    fn words(page: &str) -> Vec<String> {
        let text = page.replace("\\fB", "").replace("\\fI", "").replace("\\fR", "");
        let text =
            text.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\&", "").replace("\\\\", "\\").replace('"', "");
        text.split_whitespace().filter(|word| *word != ".PP").map(Into::into).collect()
    }

    fn holds(page: &str, text: &str) -> bool {
        let (page, text) = (words(page), words(text));
        text.is_empty() || page.windows(text.len()).any(|window| window == text)
    }

    fn all() -> Vec<(String, String)> {
        let pages = pages(command()).unwrap();
        pages.into_iter().map(|(name, page)| (name, String::from_utf8(page).unwrap())).collect()
    }

    #[test]
    fn every_verb_has_a_page_that_says_what_its_help_says() {
        let pages = all();
        let mut root = command();
        root.build();
        let (mut open, mut compared) = (vec![(root, "glidepath".to_owned())], 0);
        while let Some((verb, name)) = open.pop() {
            let (_, page) = pages.iter().find(|(file, _)| *file == format!("{name}.1")).expect(&name);
            let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
            assert!(holds(page, &text(verb.get_long_about().or(verb.get_about()))), "{name}: {page}");
            for arg in verb.get_arguments().filter(|arg| !arg.is_hide_set()) {
                assert!(holds(page, &text(arg.get_long_help().or(arg.get_help()))), "{name} {}: {page}", arg.get_id());
                assert!(page.contains(&arg.get_long().unwrap_or_default().replace('-', "\\-")), "{name} {arg}");
            }
            for line in text(verb.get_after_help()).lines() {
                let line = line.strip_suffix(':').map(str::to_uppercase).unwrap_or_else(|| line.to_owned());
                assert!(holds(page, &line), "{name}: {line} is not in {page}");
            }
            compared += 1;
            let inner = verb.get_subcommands().filter(|inner| !inner.is_hide_set());
            open.extend(inner.map(|inner| (inner.clone(), format!("{name}-{}", inner.get_name()))));
        }
        assert_eq!(compared, pages.len());
        assert!(compared > 20, "{compared}");
    }

    #[test]
    fn examples_keep_their_lines_and_sentences_flow() {
        let text = below("Examples:\n  a b   one\n  c d\n\nA sentence\nin two lines.\n").to_roff();
        assert_eq!(text, ".SH EXAMPLES\n.nf\na b   one\nc d\n.fi\n.PP\nA sentence\nin two lines.\n");
    }

    #[test]
    fn the_pages_are_written_into_a_folder_that_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let write = folder.path().join("share/man1");
        run(&ManArgs { write: write.clone() }, command()).unwrap();
        assert!(write.join("glidepath.1").exists() && write.join("glidepath-set-image.1").exists());
        let error = run(&ManArgs { write: write.join("glidepath.1") }, command()).unwrap_err().to_string();
        assert!(error.contains("cannot write to") && error.contains("glidepath.1"), "{error}");
    }
}
