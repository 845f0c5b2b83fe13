//! A file of tasks that was spoilt anywhere: what is found is what was written, and what cannot be
//! read is told.

use ostler_core::task_journal::{
    FileHeader, JournalWriter, Key, Recovery, StoredTask, read_task, recover,
};

const KEY: Key = Key(11, 13);

fn body_of(number: u64) -> Vec<u8> {
    vec![number as u8; (number as usize * 37) % 90]
}

/// Six tasks in three groups, two of them settled, all but the last group on the disk.
fn file() -> (Vec<u8>, JournalWriter) {
    let mut file = FileHeader { key: KEY, name: "shop".to_owned() }.to_bytes().to_vec();
    let mut writer = JournalWriter::new(KEY);
    for group in 0..3 {
        let bodies: Vec<(u64, Vec<u8>)> =
            (1..=2).map(|at| (group * 2 + at, body_of(group * 2 + at))).collect();
        writer.settle([group]);
        let tasks = bodies.iter().map(|(number, body)| StoredTask {
            number: *number,
            attempt: 0,
            due_unix_ms: 0,
            body,
        });
        writer.compose(tasks, &mut file);
        writer.stands();
        if group < 2 {
            writer.synced();
        }
    }
    (file, writer)
}

fn check(file: &[u8], found: &Recovery) {
    let mut end = 0;
    for gap in &found.gaps {
        assert!(gap.bytes.start >= end && gap.bytes.end <= file.len(), "gaps are in order");
        end = gap.bytes.end;
    }
    for (number, task) in &found.tasks {
        assert_eq!(file[task.body.clone()], body_of(*number), "what is found is what was written");
        let is_apart = |gap: &ostler_core::task_journal::Gap| {
            gap.bytes.end <= task.body.start || gap.bytes.start >= task.body.end
        };
        assert!(task.body.is_empty() || found.gaps.iter().all(is_apart));
    }
}

/// The input says which bytes are changed, each by two bytes of its place and one of the change;
/// the last two which part is cut off. As a file of its own it is looked at, too.
pub fn spoilt(input: &[u8]) {
    // Whatever it is, it is read or refused.
    if let Ok(found) = recover(input) {
        assert!(found.gaps.iter().all(|gap| gap.bytes.end <= input.len()));
    }
    let (mut file, writer) = file();
    let (edits, rest) = input.as_chunks::<3>();
    for [low, high, change] in edits {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % file.len();
        file[at] ^= change;
    }
    if let [low, high] = *rest {
        let cut = usize::from(u16::from_le_bytes([low, high]));
        file.truncate(cut.min(file.len()));
    }
    let Ok(found) = recover(&file) else { return };
    if found.header.key == KEY {
        check(&file, &found);
        for place in writer.places() {
            let bytes = file.get(place.offset as usize..).unwrap_or_default();
            let task = bytes.get(..place.len).and_then(|it| read_task(KEY, place.offset, it));
            assert!(task.is_none_or(|task| task.body == body_of(task.number)));
        }
    }
}
