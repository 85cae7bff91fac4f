import unittest
from datetime import date

import app
from innkeeper.tools import Refused


class Amounts(unittest.TestCase):
    def test_an_amount_is_kept_to_the_cent(self):
        for amount, cents in [("12.5", 1250), (" 0.10 ", 10), ("999999999.99", 99999999999), ("3", 300)]:
            self.assertEqual(app.in_cents(amount), cents)

    def test_what_is_no_amount_is_refused_in_words(self):
        for amount in ["", "ten", "1.005", "0", "-3", "NaN", "Infinity", "1e12"]:
            with self.assertRaises(Refused, msg=amount):
                app.in_cents(amount)

    def test_cents_are_written_with_two_digits(self):
        self.assertEqual([app.as_amount(cents) for cents in [0, 5, 1250]], ["0.00", "0.05", "12.50"])


class Days(unittest.TestCase):
    def test_a_day_is_one_of_the_calendar(self):
        self.assertEqual(app.on("2026-11-22"), date(2026, 11, 22))
        self.assertIsNone(app.on(""))
        with self.assertRaises(Refused):
            app.on("2026-02-30")


class Descriptions(unittest.TestCase):
    def test_what_has_a_default_may_be_left_out(self):
        self.assertEqual(app.add_expense.input["required"], ["amount", "category"])
        self.assertTrue(app.sum_expenses.read_only)


if __name__ == "__main__":
    unittest.main()
