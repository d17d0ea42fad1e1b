//! What the cores tell the control plane of each request: entries in a file in memory, per core.

pub mod entry;
mod field;
#[cfg(test)]
mod tests;
mod usage;

/// stub
#[derive(Default)]
pub struct Writer;
/// stub
pub struct Ticket;
impl Writer {
    /// stub
    pub fn has_room(&self) -> bool {
        true
    }
    /// stub
    pub fn begin(&self, _: &entry::Entry) -> Ticket {
        Ticket
    }
    /// stub
    pub fn update(&self, _: &Ticket, _: &entry::Entry) {}
    /// stub
    pub fn finish(&self, _: Ticket, _: &entry::Entry) {}
    /// stub
    pub fn push(&self, _: &entry::Entry) {}
}
