//! The README's picture is drawn from the recording next to the tool, and screens redraw well on a real terminal's
//! terms.

use glidepath::cli::render::{
    paint::{Paint, Tone},
    redraw::{Redraw, Size},
};

#[path = "../record/picture.rs"]
mod picture;
#[path = "../record/recording.rs"]
mod recording;
#[path = "../record/svg.rs"]
mod svg;
#[path = "../record/terminal.rs"]
mod terminal;

use terminal::Terminal;

#[test]
fn the_picture_is_what_the_recording_shows() {
    let root = env!("CARGO_MANIFEST_DIR");
    let drawn = picture::draw(&format!("{root}/tests/record/status-watch")).unwrap();
    let path = format!("{root}/docs/status-watch.svg");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap();
    let how = "UPDATE_DOCS=1 cargo test --test it record";
    assert!(there == drawn, "docs/status-watch.svg was not drawn from tests/record/status-watch.out: {how}");
    let comments = drawn.split("<!--").skip(1).filter_map(|rest| rest.split("-->").next());
    assert!(
        comments.clone().count() > 0 && comments.clone().all(|text| !text.contains("--")),
        "XML forbids -- in comments"
    );
    for seen in ["observing at 10 %", "rolled back to #1"] {
        assert!(drawn.contains(seen), "the recording does not show {seen}");
    }
}

/// A terminal's driver puts a carriage return before each line feed.
fn send(terminal: &mut Terminal, text: &str) {
    terminal.write(&text.replace('\n', "\r\n"));
}

/// What is to be seen on a terminal after these screens, one after the other.
fn seen(screens: &[&str], size: Size) -> (Terminal, Redraw) {
    let (mut terminal, mut redraw) = (Terminal::new(size.columns, size.rows), Redraw::default());
    send(&mut terminal, "before\n");
    for screen in screens {
        send(&mut terminal, &redraw.frame(screen, size));
    }
    (terminal, redraw)
}

#[test]
fn each_screen_replaces_the_one_before_and_nothing_else() {
    let size = Size { columns: 20, rows: 8 };
    // Codes count as ours once something was painted.
    let red = Paint { on: true }.text(Tone::Bad, "red");
    let longer = format!("{red} and longer\n");
    let red = format!("{red}\n");
    for (screens, wanted) in [
        (vec!["one\ntwo\nthree\n", "four\n"], "before\nfour"),
        (vec!["a\n", "b\nc\n\nd\n"], "before\nb\nc\n\nd"),
        (vec!["twenty-one characters\nx\n", "y\n"], "before\ny"),
        (vec!["exactly 20 columns..\n", "exactly 20 columns..\n"], "before\nexactly 20 columns.."),
        (vec![&longer, &red], "before\nred"),
    ] {
        assert_eq!(seen(&screens, size).0.text(), wanted, "{screens:?}");
    }
}

#[test]
fn a_screen_taller_than_the_terminal_leaves_no_rubbish_and_ends_whole() {
    let size = Size { columns: 60, rows: 6 };
    let tall = "1\n2\n3\n4\n5\n6\n7\n8\n";
    let (mut terminal, mut redraw) = seen(&[tall, tall, tall], size);
    assert_eq!(terminal.text(), "1\n2\n3\n4\n  ... 4 more lines: the terminal is too small");
    send(&mut terminal, &redraw.last(size));
    send(&mut terminal, "end\n");
    assert_eq!(terminal.text(), "5\n6\n7\n8\nend");
}
