"""A slow and obvious twin of the order converter: lists of orders, searched from end to end."""

from dataclasses import dataclass, field
from typing import Final

ADD, DELETE, EXECUTE, REDUCE, MODIFY, FILL, PRINT, SEED, CLEAR, PAUSE, NONE = range(11)
LAST, IMAGE, INDICATIVE, GAP, OUT_OF_VIEW = 1, 2, 4, 8, 16
NO_SIDE: Final = 255
NO_PRICE: Final = -(1 << 31)
PRICE_MAX: Final = 1 << 30
LOTS_MAX: Final = (1 << 31) - 1
LEVEL_ROW, TRADE_ROW, CLEAR_ROW = range(3)

# Kind, side, flags, price, qty, join, event, ahead, behind.
Row = tuple[int, int, int, int, int, int, int, int, int]
# Action, order id, side, price, qty, flags.
Event = tuple[int, int, int, int, int, int]


@dataclass(slots=True)
class Order:
    number: int
    side: int
    price: int
    lots: int = 0
    join: int = 0
    owed: int = 0


@dataclass(slots=True)
class Twin:
    """Applies events one by one; `rows`, `faults` and `quotes` are what the converter returns."""

    queues: dict[tuple[int, int], list[Order]] = field(default_factory=dict)
    anonymous: dict[tuple[int, int], int] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    hidden: list[tuple[tuple[int, int], int]] = field(default_factory=list)
    owed_unknown: dict[int, int] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    faults: list[tuple[str, int]] = field(default_factory=list)
    quotes: list[tuple[int, ...]] = field(default_factory=list)
    quote: tuple[int, ...] = (0, 0, 0, 0)
    changed: bool = False

    def lots(self, side: int, price: int) -> int:
        queue = self.queues.get((side, price), [])
        return self.anonymous.get((side, price), 0) + sum(order.lots for order in queue)

    def best(self, side: int) -> int | None:
        keys = [*self.queues, *self.anonymous]
        prices = [price for at, price in keys if at == side and self.lots(side, price) > 0]
        if not prices:
            return None
        return max(prices) if side == 0 else min(prices)

    def row(
        self,
        number: int,
        event: Event,
        kind: int,
        at: tuple[int, int],
        qty: int,
        join: int = 0,
        place: tuple[int, int] = (-1, -1),
    ) -> None:
        flags = event[5] & ~LAST
        if not (event[0] == SEED and qty == 0):
            flags &= ~OUT_OF_VIEW
        if event[0] == PAUSE:
            flags |= INDICATIVE
        if self.rows and self.rows[-1][6] == number:
            flags &= ~GAP
        self.rows.append((kind, at[0], flags, at[1], qty, join, number, *place))
        self.changed = self.changed or not flags & INDICATIVE

    def fault(self, name: str, number: int) -> None:
        self.faults.append((name, number))

    def push(self, number: int, event: Event) -> None:
        action, _, side, price, qty, flags = event
        is_level = side in (0, 1) and abs(price) < PRICE_MAX
        if action != FILL:
            self.print_hidden(number, event)
        if action == ADD:
            self.add(number, event)
        elif action in (DELETE, REDUCE, EXECUTE, FILL):
            self.remove(number, event)
        elif action == MODIFY:
            self.modify(number, event)
        elif action == PRINT and is_level and qty > 0:
            self.print(number, event, (side, price), qty)
        elif action == SEED and is_level and qty >= 0:
            before = self.lots(side, price)
            for order in self.queues.pop((side, price), []):
                del self.orders[order.number]
            self.anonymous[side, price] = qty
            if before != qty:
                self.row(number, event, LEVEL_ROW, (side, price), qty)
        elif action == CLEAR:
            self.queues, self.anonymous, self.orders = {}, {}, {}
            self.row(number, event, CLEAR_ROW, (0, 0), 0)
        elif action == PAUSE:
            bid, ask = self.best(0), self.best(1)
            options = [ask] if ask is not None else []
            options += [bid + 1] if bid is not None else []
            self.row(number, event, LEVEL_ROW, (0, max(options, default=0)), 0)
        elif action != NONE:
            self.fault("bad_value", number)
        if flags & LAST:
            self.print_hidden(number, event)
            self.end_packet(number)

    def print(self, number: int, event: Event, at: tuple[int, int], qty: int) -> None:
        side, price = at
        own, other = self.best(side), self.best(1 - side)
        sign = 1 if side == 0 else -1
        behind = own is not None and sign * price <= sign * own
        through = other is not None and sign * price >= sign * other
        if not (behind or through):
            self.row(number, event, TRADE_ROW, at, qty)

    def print_hidden(self, number: int, event: Event) -> None:
        hidden, self.hidden = self.hidden, []
        for at, qty in hidden:
            self.print(number, event, at, qty)

    def end_packet(self, number: int) -> None:
        self.owed_unknown = {}
        for order in list(self.orders.values()):
            order.owed = 0
            if order.lots == 0:
                del self.orders[order.number]
        bid, ask = self.best(0), self.best(1)
        if self.changed and bid is not None and ask is not None and bid >= ask:
            self.fault("crossed" if bid > ask else "locked", number)
        self.changed = False
        quote: tuple[int, ...] = ()
        for side, price in ((0, bid), (1, ask)):
            quote += (0, 0) if price is None else (price, self.lots(side, price))
        if quote != self.quote:
            self.quotes.append((number, *quote))
            self.quote = quote

    def add(self, number: int, event: Event) -> None:
        _, order_id, side, price, qty, _ = event
        if side not in (0, 1) or abs(price) >= PRICE_MAX or qty <= 0:
            return self.fault("bad_value", number)
        if order_id in self.orders and self.orders[order_id].lots > 0:
            return self.fault("duplicate_order", number)
        if self.lots(side, price) + qty > LOTS_MAX:
            self.orders.pop(order_id, None)
            return self.fault("too_many_lots", number)
        order = self.orders[order_id] = Order(order_id, side, price)
        return self.join(number, event, order, qty)

    def join(self, number: int, event: Event, order: Order, qty: int) -> None:
        order.lots, order.join = qty, len(self.rows) + 1
        at = (order.side, order.price)
        self.queues.setdefault(at, []).append(order)
        self.row(number, event, LEVEL_ROW, at, self.lots(*at))

    def place(self, order: Order) -> tuple[int, int]:
        at = (order.side, order.price)
        queue = self.queues[at]
        index = queue.index(order)
        ahead = self.anonymous.get(at, 0) + sum(other.lots for other in queue[:index])
        return ahead, sum(other.lots for other in queue[index + 1 :])

    def take(self, order: Order, qty: int) -> None:
        order.lots -= qty
        if order.lots == 0:
            self.queues[order.side, order.price].remove(order)

    def cut(self, number: int, event: Event, order: Order, qty: int) -> None:
        if qty:
            place = self.place(order)
            self.take(order, qty)
            at = (order.side, order.price)
            self.row(number, event, LEVEL_ROW, at, self.lots(*at), order.join, place)

    def remove(self, number: int, event: Event) -> None:
        action, order_id, side, price, qty, _ = event
        if qty < 0 or (qty == 0 and action != DELETE):
            return self.fault("bad_value", number)
        order = self.orders.get(order_id)
        if order is None:
            return self.remove_unknown(number, event)
        if side not in (NO_SIDE, order.side) or price not in (NO_PRICE, order.price):
            self.fault("mismatch", number)
        if action in (EXECUTE, FILL):
            return self.execute(number, event, order)
        if action == DELETE:
            if qty > order.lots and qty != order.lots + order.owed:
                self.fault("excess", number)
            elif 0 < qty < order.lots:
                self.fault("mismatch", number)
            order.owed = 0
            self.cut(number, event, order, order.lots)
        else:
            settled = min(qty, order.owed)
            order.owed -= settled
            if qty - settled > order.lots:
                self.fault("excess", number)
            self.cut(number, event, order, min(order.lots, qty - settled))
        if order.lots == 0 and order.owed == 0:
            del self.orders[order_id]
        return None

    def execute(self, number: int, event: Event, order: Order) -> None:
        action, _, _, _, qty, flags = event
        if qty > order.lots:
            self.fault("excess", number)
            if action == FILL:
                self.hidden.append(((order.side, order.price), qty - order.lots))
        qty = min(qty, order.lots)
        if qty == 0:
            return
        at = (order.side, order.price)
        place = self.place(order)
        if place[0] > 0 and not flags & INDICATIVE:
            self.fault("not_front", number)
        self.queues[at].remove(order)
        self.queues[at].insert(0, order)
        self.take(order, qty)
        if action == FILL:
            order.owed += qty
        elif order.lots == 0 and order.owed == 0:
            del self.orders[order.number]
        self.row(number, event, TRADE_ROW, at, qty, order.join, place)
        if flags & INDICATIVE:
            self.row(number, event, LEVEL_ROW, at, self.lots(*at), order.join, place)

    def remove_unknown(self, number: int, event: Event) -> None:
        action, order_id, side, price, qty, flags = event
        is_trade = action in (EXECUTE, FILL)
        if not is_trade and order_id in self.owed_unknown:
            settled = min(qty, self.owed_unknown[order_id])
            self.owed_unknown[order_id] -= settled
            qty -= settled
            if qty == 0:
                return
        if qty == 0 or self.anonymous.get((side, price), 0) < qty:
            return self.fault("unknown_order", number)
        self.anonymous[side, price] -= qty
        if action == FILL:
            self.owed_unknown[order_id] = self.owed_unknown.get(order_id, 0) + qty
        if is_trade:
            self.row(number, event, TRADE_ROW, (side, price), qty)
        if not is_trade or flags & INDICATIVE:
            self.row(number, event, LEVEL_ROW, (side, price), self.lots(side, price))
        return None

    def modify(self, number: int, event: Event) -> None:
        _, order_id, side, price, qty, _ = event
        order = self.orders.get(order_id)
        if order is None:
            self.fault("unknown_order", number)
            return self.add(number, event)
        price = order.price if price == NO_PRICE else price
        if qty <= 0 or abs(price) >= PRICE_MAX:
            return self.fault("bad_value", number)
        if side not in (NO_SIDE, order.side):
            self.fault("mismatch", number)
        if price == order.price and qty <= order.lots:
            order.owed = 0
            return self.cut(number, event, order, order.lots - qty)
        own = order.lots if price == order.price else 0
        if self.lots(order.side, price) - own + qty > LOTS_MAX:
            return self.fault("too_many_lots", number)
        order.owed = 0
        self.cut(number, event, order, order.lots)
        order.price = price
        return self.join(number, event, order, qty)
