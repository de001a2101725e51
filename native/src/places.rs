//! Values by number: each has a place, which is given to another when the value is gone.

pub struct Places<T> {
    values: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Places { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Places<T> {
    /// The place of the value that is held next.
    pub fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.values.len())
    }

    /// The value's place.
    pub fn hold(&mut self, value: T) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.values.push(None);
            self.values.len() - 1
        });
        self.values[place] = Some(value);
        place
    }

    pub fn get(&self, place: usize) -> Option<&T> {
        self.values.get(place)?.as_ref()
    }

    /// Once for each value that is held.
    pub fn forget(&mut self, place: usize) {
        self.values[place] = None;
        self.free.push(place);
    }

    pub fn into_values(self) -> impl Iterator<Item = T> {
        self.values.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn a_place_is_given_again_when_it_is_free() {
        let mut places = Places::default();
        assert_eq!((places.next(), places.hold(10), places.next(), places.hold(11)), (0, 0, 1, 1));
        assert_eq!((places.get(0), places.get(1), places.get(2)), (Some(&10), Some(&11), None));
        places.forget(0);
        assert_eq!(places.get(0), None);
        assert_eq!((places.next(), places.hold(20), places.next(), places.hold(22)), (0, 0, 2, 2));
        assert_eq!(places.into_values().collect::<Vec<_>>(), [20, 11, 22]);
    }
}
