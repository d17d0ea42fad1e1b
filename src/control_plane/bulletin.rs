//! Notices in words, each once: an outage repeats itself hundreds of times a second, and the line that
//! matters must not drown in it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    boundary::notice::NoticeReader,
    limits::{NOTICES_EVERY_MS, NOTICES_SHOWN_MAX},
};

/// What was said lately, and how often it happened again since.
#[derive(Default)]
pub struct Bulletin {
    repeats: BTreeMap<String, u64>,
    others: u64,
    since: Option<Instant>,
}

impl Bulletin {
    /// Says each new notice at once, and the repetitions of the old ones when their time is over.
    pub fn publish(&mut self, notices: &NoticeReader, now: Instant, say: &mut impl FnMut(&str)) {
        let window = Duration::from_millis(NOTICES_EVERY_MS);
        if self.since.is_some_and(|since| now.saturating_duration_since(since) >= window) {
            self.close(say);
        }
        while let Some(notice) = notices.next() {
            self.since.get_or_insert(now);
            self.take(notice.to_string(), say);
        }
        self.others += notices.take_lost();
    }

    fn take(&mut self, text: String, say: &mut impl FnMut(&str)) {
        if let Some(count) = self.repeats.get_mut(&text) {
            *count += 1;
        } else if self.repeats.len() < NOTICES_SHOWN_MAX {
            say(&text);
            self.repeats.insert(text, 0);
        } else {
            self.others += 1;
        }
    }

    /// Says what was held back, and forgets it.
    pub fn close(&mut self, say: &mut impl FnMut(&str)) {
        for (text, count) in std::mem::take(&mut self.repeats) {
            if count > 0 {
                say(&format!("{text} ({count} more times)"));
            }
        }
        if self.others > 0 {
            say(&format!("{} further notices were not shown", self.others));
        }
        (self.others, self.since) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        boundary::notice::{self, Event},
        net::clock,
    };

    #[test]
    fn what_repeats_is_counted_and_what_is_new_is_said() {
        let (sender, reader) = notice::channel();
        let (mut bulletin, mut said) = (Bulletin::default(), Vec::new());
        let start = clock::now();
        for _ in 0..300 {
            sender.tell(Some("east"), Event::ConnectTimedOut);
        }
        sender.tell(Some("west"), Event::AnswerTimedOut);
        bulletin.publish(&reader, start, &mut |line: &str| said.push(line.to_owned()));
        assert_eq!(said.len(), 2, "{said:?}");
        bulletin.publish(&reader, start, &mut |line: &str| said.push(line.to_owned()));
        assert_eq!(said.len(), 2, "its time is not over");
        let later = start + Duration::from_millis(NOTICES_EVERY_MS);
        bulletin.publish(&reader, later, &mut |line: &str| said.push(line.to_owned()));
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[2].starts_with("deployment east") && said[2].ends_with("(299 more times)"));
        for number in 0..NOTICES_SHOWN_MAX + 5 {
            sender.tell(Some(&number.to_string()), Event::ConnectTimedOut);
        }
        said.clear();
        bulletin.publish(&reader, later, &mut |line: &str| said.push(line.to_owned()));
        bulletin.close(&mut |line: &str| said.push(line.to_owned()));
        assert_eq!(said.len(), NOTICES_SHOWN_MAX + 1);
        assert_eq!(said.last().map(String::as_str), Some("5 further notices were not shown"));
    }
}
