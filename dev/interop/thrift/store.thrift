// What every implementation is asked through the gateway.

namespace cpp store

struct Item {
  1: string name
  2: i32 count
  3: list<i64> prices
  4: map<string, bool> flags
  5: set<i16> codes
  6: double weight
  7: bool good
  8: binary raw
  9: byte level
  20: list<map<string, list<bool>>> nested
}

exception Missing {
  1: string name
}

service Store {
  void ping()
  Item echo(1: Item item)
  Item find(1: string name) throws (1: Missing missing)
  oneway void note(1: string text)
  i32 noted()
}

// What the client of a newer service would ask.
service Newer extends Store {
  void unheard_of()
}
