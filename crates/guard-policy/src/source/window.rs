//! Nodes to a window.

use std::time::Duration;

use guard_domain::Window;

use super::node::Node;
use super::reader::Reader;

impl Reader<'_> {
    pub(super) fn window(&mut self, node: &Node) -> Option<Window> {
        let fields = self.map(node, "`window`", &["count", "within", "by"])?;
        let by = self.paths(fields, "by");
        let count = self.required(node, fields, "count");
        let count = count.and_then(|count| self.window_count(count));
        let within = self.required(node, fields, "within");
        let within = within.and_then(|within| self.window_length(within));
        Some(Window {
            count: count?,
            within: within?,
            by,
        })
    }

    fn window_count(&mut self, node: &Node) -> Option<u32> {
        let count = self.whole(node, "`count`", 2)?;
        if count > Window::MAX_COUNT {
            let most = Window::MAX_COUNT;
            self.refuse(node.place, format!("`count` is at most {most}"));
            return None;
        }
        Some(count)
    }

    fn window_length(&mut self, node: &Node) -> Option<Duration> {
        let within = self.duration(node, "`within`")?;
        if within > Window::MAX_WITHIN {
            let most = humantime::format_duration(Window::MAX_WITHIN);
            self.refuse(node.place, format!("`within` is at most {most}"));
            return None;
        }
        Some(within)
    }
}
