//! Thumbnails: clients send PNG pictures, task workers make them small, and clients are told where
//! the result is as soon as it is there. Try: nc 127.0.0.1 9501 <picture.png
//!
//! A picture of which `kept` was said is in a file (`task_journal`): its thumbnail is made, also if
//! the task worker dies over it, or the whole server. It is called after the picture's bytes, so
//! that to make it twice does no harm, and who was cut off asks again by sending the picture again.
//!
//! ```text
//! thumbnails [DIRECTORY] [--set NAME=VALUE]...
//! ```

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ostler::{Exit, Handler, Outcome, Package, Server, Session, Task, TaskCrash, Worker};
use png::{BitDepth, ColorType, Transformations};
use resize::px::RGBA;

/// Its longer side, pixels.
const SIDE: u32 = 128;
/// A picture of a few bytes may claim any size.
const PIXELS_MAX: u64 = 32 * 1024 * 1024;
/// How every picture begins, and how it ends.
const BEGIN: &[u8] = b"\x89PNG\r\n\x1a\n";
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Thumbnails {
    directory: PathBuf,
}

impl Handler for Thumbnails {
    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        if !package.iter().zip(BEGIN).all(|(it, begin)| it == begin) {
            session.send(b"sorry: this is no PNG picture\n")?;
            return Ok(session.close()?);
        }
        let Some(end) = package.windows(END.len()).position(|bytes| bytes == END) else {
            package.consume(0); // the rest comes with what the client sends next
            return Ok(());
        };
        package.consume(end + END.len());
        let picture = package.get(..end + END.len()).unwrap_or_default();
        let name = self.name_of(picture);
        if name.exists() {
            return Ok(session.send(format!("done {}\n", name.display()).as_bytes())?);
        }
        let task = [&session.id().to_le_bytes(), picture].concat();
        let said = match worker.task(&task).keep(Duration::from_secs(5)) {
            Ok(()) => format!("kept {}\n", name.display()),
            Err(error) => format!("sorry {}: {error}\n", name.display()),
        };
        Ok(session.send(said.as_bytes())?)
    }

    /// In a task worker, of this server or of the next.
    fn on_task(&mut self, worker: &Worker, task: &Task) -> Outcome {
        let Some((session, picture)) = task.split_first_chunk() else { return Ok(()) };
        let name = self.name_of(picture);
        let said = match thumbnail_of(picture).and_then(|small| put(&name, &small)) {
            Ok(()) => format!("done {}\n", name.display()),
            Err(error) => format!("sorry {}: {error}\n", name.display()),
        };
        // Who has left meanwhile, or talked to another server, is not there any more.
        let client = worker.session(u64::from_le_bytes(*session));
        let _ = client.send(said.as_bytes());
        Ok(())
    }
}

impl Thumbnails {
    fn name_of(&self, picture: &[u8]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        picture.hash(&mut hasher);
        self.directory.join(format!("{:016x}.png", hasher.finish()))
    }
}

fn thumbnail_of(picture: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut decoder = png::Decoder::new(Cursor::new(picture));
    decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
    let mut reader = decoder.read_info()?;
    let (width, height) = reader.info().size();
    if u64::from(width) * u64::from(height) >= PIXELS_MAX {
        return Err(format!("it has {width} x {height} pixels").into());
    }
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    reader.next_frame(&mut bytes)?;
    let pixels: Vec<RGBA<u8>> = match reader.output_color_type().0 {
        ColorType::GrayscaleAlpha => {
            let (pairs, _) = bytes.as_chunks();
            pairs.iter().map(|[gray, alpha]| RGBA::new(*gray, *gray, *gray, *alpha)).collect()
        }
        _ => bytes.as_chunks().0.iter().map(|[r, g, b, a]| RGBA::new(*r, *g, *b, *a)).collect(),
    };
    let scale = |side: u32| (side * SIDE.min(width.max(height)) / width.max(height)).max(1);
    let (w, h) = (scale(width), scale(height));
    let mut small = vec![RGBA::new(0, 0, 0, 0); w as usize * h as usize];
    let (from, to) = ((width as usize, height as usize), (w as usize, h as usize));
    let (format, filter) = (resize::Pixel::RGBA8P, resize::Type::Lanczos3);
    resize::new(from.0, from.1, to.0, to.1, format, filter)?.resize(&pixels, &mut small)?;
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, w, h);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    let bytes: Vec<u8> = small.iter().flat_map(|it| [it.r, it.g, it.b, it.a]).collect();
    encoder.write_header()?.write_image_data(&bytes)?;
    Ok(out)
}

/// It is there as a whole or not at all.
fn put(name: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let unfinished = name.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&unfinished, bytes)?;
    Ok(std::fs::rename(&unfinished, name)?)
}

fn main() -> Exit {
    let server = Server::builder().listen("127.0.0.1:9501").task_workers(2);
    let (server, own) = server.take_args(std::env::args_os().skip(1));
    let directory = PathBuf::from(own.first().map_or("thumbnails".as_ref(), |it| it.as_os_str()));
    let made = std::fs::create_dir_all(&directory)
        .map_err(|error| ostler::Error::usage(format!("{}: {error}", directory.display())));
    let server = server
        .task_journal(directory.join("tasks"))
        // One that kills its worker again and again is given up after `task_attempts_max` times.
        .task_crash_policy(TaskCrash::Redeliver);
    let served = made.and_then(|()| server.bind()).and_then(|server| {
        let server = server.on_listening(|ports| println!("listening on {ports}"));
        server.run(move |_| Thumbnails { directory: directory.clone() })
    });
    served.into()
}
