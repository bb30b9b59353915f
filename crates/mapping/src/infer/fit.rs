//! A column and a test → how many of its texts pass, and the first that doesn't. Must never know what is tested.

use crate::convert::head;
use crate::infer::CHECK;
use crate::infer::sample::Column;

/// Of twenty values one may be damaged, and the column still is what the others are. Where more don't fit, it is
/// something else, or more than a proposal can tell.
const UNFIT_PERCENT_MAX: usize = 5;

/// How well the texts of a column pass a test. Where nothing stands, nothing is tested.
#[derive(Clone, Debug)]
pub struct Fit {
    texts: usize,
    /// Counted up to half of the texts: behind that it is no matter how many there are.
    unfit: usize,
    /// The first text that doesn't fit, as a sentence.
    example: Option<String>,
}

impl Fit {
    /// The error of a test ends a sentence that starts with the text.
    pub fn of(column: &Column, mut test: impl FnMut(&str) -> Result<(), String>) -> Self {
        let mut fit = Self { texts: column.present().count(), unfit: 0, example: None };
        for text in column.present() {
            if let Err(problem) = test(text) {
                fit.unfit += 1;
                fit.example.get_or_insert_with(|| format!("`{}` {problem}", head(text)));
            }
            if !fit.is_most() {
                break;
            }
        }
        fit
    }

    /// Whether the column is what was tested.
    pub const fn holds(&self) -> bool {
        self.texts > 0 && self.unfit * 100 <= self.texts * UNFIT_PERCENT_MAX
    }

    pub const fn is_whole(&self) -> bool {
        self.texts > 0 && self.unfit == 0
    }

    /// Whether it nearly is: worth a sentence.
    pub const fn is_most(&self) -> bool {
        self.texts > 0 && self.unfit * 2 < self.texts
    }

    pub const fn is_better_than(&self, other: &Self) -> bool {
        self.unfit < other.unfit
    }

    /// "all" or "nearly all", as in a sentence.
    pub const fn share(&self) -> &'static str {
        if self.unfit == 0 { "all" } else { "nearly all" }
    }

    /// How many don't fit, with an example; nothing where all do.
    pub fn unfit(&self) -> Option<String> {
        let example = self.example.as_ref()?;
        let do_not = if self.unfit == 1 { "doesn't" } else { "don't" };
        Some(format!("{} of {} sampled values {do_not} fit: {example}", self.unfit, self.texts))
    }

    /// The same behind another sentence, as something to check.
    pub fn doubt(&self) -> String {
        self.unfit().map_or_else(String::new, |unfit| format!(". {CHECK}: {unfit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_twenty_may_be_damaged() {
        let table = [
            (0, 0, false, false),
            (1, 0, true, true),
            (19, 1, false, true),
            (20, 1, true, true),
            (200, 10, true, true),
            (200, 11, false, true),
            (200, 99, false, true),
            (200, 100, false, false),
        ];
        for (texts, unfit, holds, is_most) in table {
            let text = |index| Some(if index < unfit { "bad" } else { "good" }.to_owned());
            let column = Column { place: "x".to_owned(), texts: (0..texts).map(text).chain([None]).collect() };
            let fit = Fit::of(&column, |text| if text == "good" { Ok(()) } else { Err("isn't good".to_owned()) });
            assert_eq!((fit.holds(), fit.is_most()), (holds, is_most), "{unfit} of {texts}");
        }
    }
}
