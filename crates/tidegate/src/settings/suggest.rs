//! "Did you mean ...?": the known word nearest to a mistyped one.

/// The candidate nearest to `word`, if one is near enough to be worth naming:
/// at most a third of the word may differ. Dashes and case do not count.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let plain = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&plain, &self::plain(candidate)), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer words are never near: comparing them would only cost time.
const WORD_CHARS_MAX: usize = 64;

fn plain(word: &str) -> Vec<char> {
    word.chars()
        .take(WORD_CHARS_MAX)
        .map(|c| {
            if c == '-' {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Optimal string alignment: insertions, deletions, replacements and swapped
/// neighbours each count one.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &l) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &r) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(l != r);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && l == right[column - 1] && left[row - 1] == r;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KEYS: [&str; 4] = ["timeouts", "limits", "listen", "access_log"];

    #[test]
    fn a_slip_of_the_finger_finds_its_key() {
        assert_eq!(nearest("timeout", KEYS), Some("timeouts"));
        assert_eq!(nearest("limtis", KEYS), Some("limits"));
        assert_eq!(nearest("access-log", KEYS), Some("access_log"));
        assert_eq!(nearest("LISTEN", KEYS), Some("listen"));
    }

    #[test]
    fn a_different_word_finds_nothing() {
        assert_eq!(nearest("proxy_pass", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
    }
}
