//! The example whose tasks make pictures small: nothing that was kept is lost, whoever is killed.
#![allow(clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod support;
mod talk;

use std::io::Cursor;
use std::path::PathBuf;

use ostler_testkit::{Process, ServerBuilder, Signal, TestResult, TestServer};
use support::{check, wait_lines};
use talk::{Scratch, Talk};

fn thumbnails(scratch: &Scratch) -> ServerBuilder {
    let directory = scratch.at().display().to_string();
    TestServer::example("thumbnails").args([directory]).set("workers", 1).set("task_workers", 1)
}

fn start(builder: ServerBuilder) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_lines(&server, "takes tasks", 1)?;
    Ok(server)
}

/// A picture of one colour.
fn picture(color: png::ColorType, width: u32, height: u32, shade: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let pixels = vec![shade; width as usize * height as usize * color.samples()];
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels).expect("pixels");
    drop(writer);
    out
}

/// Sends it; answers with the word and the name of the line that comes.
fn send(talk: &mut Talk, picture: &[u8]) -> TestResult<(String, PathBuf)> {
    talk.client.send(picture)?;
    hear(talk)
}

fn hear(talk: &mut Talk) -> TestResult<(String, PathBuf)> {
    let line = talk.line()?;
    let (word, name) = line.split_once(' ').unwrap_or((&line, ""));
    Ok((word.to_owned(), PathBuf::from(name)))
}

/// The size of what lies there, and its first pixel.
fn look(name: &PathBuf) -> TestResult<(u32, u32, [u8; 4])> {
    let bytes = Cursor::new(std::fs::read(name)?);
    let mut reader = png::Decoder::new(bytes).read_info().expect("a picture");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("pixels");
    let (width, height) = reader.info().size();
    Ok((width, height, [pixels[0], pixels[1], pixels[2], pixels[3]]))
}

/// The only one does nothing from now on.
fn stop_task_worker(server: &TestServer) -> TestResult<Process> {
    let workers = server.task_workers();
    workers[0].stop()?;
    Ok(workers[0].clone())
}

#[test]
fn pictures_of_any_kind_become_small_and_what_is_none_is_told() -> TestResult {
    let scratch = Scratch::new("thumbnails")?;
    let server = start(thumbnails(&scratch))?;
    let mut talk = Talk::new(&server)?;
    use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
    for (color, pixel) in [
        (Grayscale, [200, 200, 200, 255]),
        (GrayscaleAlpha, [200, 200, 200, 200]),
        (Rgb, [200, 200, 200, 255]),
        (Rgba, [200, 200, 200, 200]),
    ] {
        let picture = picture(color, 1_000, 500, 200);
        // In two parts, as any network may cut it.
        let (first, second) = picture.split_at(20);
        talk.client.send(first)?;
        let mut heard = [send(&mut talk, second)?, hear(&mut talk)?];
        heard.sort();
        let [(done, name), (kept, _)] = &heard;
        check((done.as_str(), kept.as_str()) == ("done", "kept"), format!("{heard:?}"))?;
        let looks = look(name)?;
        check(looks == (128, 64, pixel), format!("{color:?}: {looks:?}"))?;
        let again = send(&mut talk, &picture)?;
        check(again == ("done".to_owned(), name.clone()), format!("{again:?}"))?;
    }
    let mut spoilt = picture(Rgb, 10, 10, 7);
    spoilt[45] ^= 1;
    let mut heard = [send(&mut talk, &spoilt)?.0, hear(&mut talk)?.0];
    heard.sort();
    check(heard == ["kept", "sorry"], format!("{heard:?}"))?;
    check(send(&mut talk, b"GIF89a")?.0 == "sorry:", "what is no picture")?;
    talk.expect_eof();
    server.stop()
}

/// Each picture is kept while nobody works: then who should work is killed.
#[test]
fn what_is_kept_is_made_whoever_dies() -> TestResult {
    let scratch = Scratch::new("thumbnails-kill")?;
    let mut names = Vec::new();
    let mut keep = |server: &TestServer, shades: std::ops::Range<u8>| -> TestResult {
        let mut talk = Talk::new(server)?;
        for shade in shades {
            let (word, name) = send(&mut talk, &picture(png::ColorType::Rgb, 900, 300, shade))?;
            check(word == "kept" && !name.exists(), format!("{word} {}", name.display()))?;
            names.push((shade, name));
        }
        Ok(())
    };
    let builder = thumbnails(&scratch).expect_log("worker died");
    let server = start(builder)?;
    let worker = stop_task_worker(&server)?;
    keep(&server, 0..8)?;
    worker.kill();
    wait_lines(&server, "takes tasks", 2)?;
    stop_task_worker(&server)?;
    keep(&server, 8..16)?;
    server.signal(Signal::KILL);
    server.wait_end()?;

    let server = start(thumbnails(&scratch))?;
    server.wait_for("all thumbnails", |_| names.iter().all(|(_, name)| name.exists()))?;
    for (shade, name) in &names {
        let looks = look(name)?;
        let expected = (128, 42, [*shade, *shade, *shade, 255]);
        check(looks == expected, format!("{looks:?}, not {expected:?}"))?;
    }
    // Who was cut off sends its picture again, and is told at once.
    let (shade, name) = &names[15];
    let again = send(&mut Talk::new(&server)?, &picture(png::ColorType::Rgb, 900, 300, *shade))?;
    check(again == ("done".to_owned(), name.clone()), format!("{again:?}"))?;
    server.stop()
}
