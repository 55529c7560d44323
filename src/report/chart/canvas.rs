//! Drawing on an SVG of plotters with this module's fonts and errors.
//!
//! Takes shapes in pixels; gives the document. Text is escaped as everywhere in reports; XML is escaped by plotters.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{GREY, INK, MARGIN, PAPER, TEXT_SIZE, TITLE_SIZE};
use crate::report::ReportError;
use crate::report::escape::escape_terminal;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture under way.
pub(super) struct Canvas<'a> {
    chart: &'static str,
    area: Area<'a>,
}

impl Canvas<'_> {
    /// The SVG that `fill` draws on a blank sheet of `size`.
    pub(super) fn draw(
        chart: &'static str,
        size: (i32, i32),
        fill: impl FnOnce(&Canvas<'_>) -> Result<(), ReportError>,
    ) -> Result<String, ReportError> {
        let mut svg = String::new();
        {
            let backend = SVGBackend::with_string(&mut svg, (size.0.unsigned_abs(), size.1.unsigned_abs()));
            let canvas = Canvas { chart, area: backend.into_drawing_area() };
            canvas.rectangle((0, 0), size, PAPER)?;
            fill(&canvas)?;
            canvas.area.present().map_err(|e| canvas.fault(&e))?;
        }
        Ok(svg)
    }

    fn fault(&self, what: &dyn std::fmt::Display) -> ReportError {
        ReportError::Draw { chart: self.chart, what: what.to_string() }
    }

    pub(super) fn rectangle(
        &self,
        from: (i32, i32),
        to: (i32, i32),
        colour: RGBColor,
    ) -> Result<(), ReportError> {
        self.area.draw(&Rectangle::new([from, to], colour.filled())).map_err(|e| self.fault(&e))
    }

    pub(super) fn frame(&self, from: (i32, i32), to: (i32, i32)) -> Result<(), ReportError> {
        let (x0, y0, x1, y1) = (from.0, from.1, to.0, to.1);
        self.line(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], GREY)
    }

    pub(super) fn polygon(&self, points: &[(i32, i32)], colour: RGBColor) -> Result<(), ReportError> {
        self.area.draw(&Polygon::new(points.to_vec(), colour.filled())).map_err(|e| self.fault(&e))
    }

    /// A polygon that lets what is below shine through.
    pub(super) fn veil(&self, points: &[(i32, i32)], colour: RGBColor) -> Result<(), ReportError> {
        self.area.draw(&Polygon::new(points.to_vec(), colour.mix(0.45).filled())).map_err(|e| self.fault(&e))
    }

    pub(super) fn line(&self, points: &[(i32, i32)], colour: RGBColor) -> Result<(), ReportError> {
        self.area.draw(&PathElement::new(points.to_vec(), colour)).map_err(|e| self.fault(&e))
    }

    pub(super) fn disc(&self, at: (i32, i32), radius: i32, colour: RGBColor) -> Result<(), ReportError> {
        self.area.draw(&Circle::new(at, radius, colour.filled())).map_err(|e| self.fault(&e))
    }

    fn write(
        &self,
        text: &str,
        at: (i32, i32),
        size: f64,
        colour: RGBColor,
        h: HPos,
    ) -> Result<(), ReportError> {
        if text.is_empty() {
            return Ok(());
        }
        let style = ("sans-serif", size, &colour).into_text_style(&self.area).pos(Pos::new(h, VPos::Center));
        self.area.draw_text(&escape_terminal(text), &style, at).map_err(|e| self.fault(&e))
    }

    pub(super) fn title(&self, text: &str) -> Result<(), ReportError> {
        self.write(text, (MARGIN, 20), TITLE_SIZE, INK, HPos::Left)
    }

    pub(super) fn text(&self, text: &str, at: (i32, i32)) -> Result<(), ReportError> {
        self.write(text, at, TEXT_SIZE, INK, HPos::Left)
    }

    pub(super) fn text_right(&self, text: &str, at: (i32, i32)) -> Result<(), ReportError> {
        self.write(text, at, TEXT_SIZE, INK, HPos::Right)
    }

    pub(super) fn small_text(&self, text: &str, at: (i32, i32), colour: RGBColor) -> Result<(), ReportError> {
        self.write(text, at, 11.0 * 1.24, colour, HPos::Center)
    }
}
