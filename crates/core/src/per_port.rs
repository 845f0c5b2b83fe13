//! One value for each listening port.

use crate::ids::PortId;

/// What differs from port to port. There is always a value, that of the first port.
#[derive(Clone, Debug)]
pub struct PerPort<T> {
    first: T,
    others: Vec<T>,
}

impl<T> PerPort<T> {
    /// The values of all ports, by their ids.
    #[must_use]
    pub const fn new(first: T, others: Vec<T>) -> Self {
        Self { first, others }
    }

    /// The value of a port. Ids are made by the master for the ports that it has, so that there is
    /// one; otherwise it is that of the first port.
    #[must_use]
    pub fn get(&self, port: PortId) -> &T {
        let Some(index) = usize::from(port.0).checked_sub(1) else { return &self.first };
        let value = self.others.get(index);
        crate::invariant!(value.is_some(), "an id is of a port that the server has");
        value.unwrap_or(&self.first)
    }

    /// The value of a port, to be changed.
    pub fn get_mut(&mut self, port: PortId) -> &mut T {
        let Some(index) = usize::from(port.0).checked_sub(1) else { return &mut self.first };
        let value = self.others.get_mut(index);
        crate::invariant!(value.is_some(), "an id is of a port that the server has");
        value.unwrap_or(&mut self.first)
    }

    /// Another value for each port, made of this one.
    ///
    /// # Errors
    /// The first one of `make`.
    pub fn try_map<U, E>(&self, mut make: impl FnMut(&T) -> Result<U, E>) -> Result<PerPort<U>, E> {
        let first = make(&self.first)?;
        let others = self.others.iter().map(make).collect::<Result<_, E>>()?;
        Ok(PerPort { first, others })
    }

    /// Another value for each port, made of this one.
    #[must_use]
    pub fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> PerPort<U> {
        let first = make(&self.first);
        PerPort { first, others: self.others.iter().map(make).collect() }
    }

    /// The values of all ports.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The values of all ports, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_its_own_value() {
        let ports = PerPort::new('a', vec!['b', 'c']);
        let values: Vec<char> = (0..3).map(|port| *ports.get(PortId(port))).collect();
        assert_eq!(values, ['a', 'b', 'c']);
        assert!(ports.iter().eq(&values));
        let upper = ports.map(char::to_ascii_uppercase);
        assert!(upper.iter().eq(&['A', 'B', 'C']));
        let failed: Result<PerPort<()>, char> =
            ports.try_map(|port| if *port == 'a' { Ok(()) } else { Err(*port) });
        assert_eq!(failed.err(), Some('b'));
        let mut ports = ports;
        (0..3).for_each(|port| ports.get_mut(PortId(port)).make_ascii_uppercase());
        assert!(ports.iter_mut().all(|port| port.is_ascii_uppercase()));
        assert_eq!(ports.iter().collect::<String>(), "ABC");
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "a port that the server has"))]
    fn a_port_that_is_not_there_is_an_invariant_broken_and_served_like_the_first() {
        assert_eq!(PerPort::new('a', vec!['b']).get(PortId(2)), &'a');
    }
}
