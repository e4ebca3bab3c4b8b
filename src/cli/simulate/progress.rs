//! A bar for each phase, on a terminal; nothing elsewhere, and nothing beside JSON.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};

use crate::simulate::{Observer, Phase};

/// The bar of the phase that is under way.
pub(in crate::cli) struct Progress {
    is_shown: bool,
    style: ProgressStyle,
    bar: ProgressBar,
}

impl Progress {
    pub(in crate::cli) fn new(is_text: bool, is_plain: bool) -> Self {
        let bar = if is_plain { "{bar:30}" } else { "{bar:30.cyan}" };
        let template = format!("{{msg:26}} {bar} {{pos}}/{{len}}  {{per_sec}}  {{eta}} left");
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let is_shown = is_text && io::stderr().is_terminal();
        Self { is_shown, style, bar: ProgressBar::hidden() }
    }

    /// Takes the bar away.
    pub(in crate::cli) fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn begin(&mut self, cycle: usize, phase: Phase, steps: usize) {
        self.end();
        if !self.is_shown || steps == 0 {
            self.bar = ProgressBar::hidden();
            return;
        }
        let bar = ProgressBar::new(u64::try_from(steps).unwrap_or(u64::MAX));
        bar.set_style(self.style.clone());
        let of = if cycle == 0 { String::new() } else { format!("cycle {cycle}: ") };
        bar.set_message(format!("{of}{}", phase.word()));
        self.bar = bar;
    }

    fn step(&mut self) {
        self.bar.inc(1);
    }
}
