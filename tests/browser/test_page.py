"""The page that `calibtool report` writes, in a real Chromium."""

from __future__ import annotations

import re

import pytest

import calibtool as ct
from calibtool.reports.page.build import build_page

PAGES = ("example", "hostile", "many", "positive", "clinical", "confidence", "compared")

# contrast of every text with what is behind it, by WCAG 2.2: those that fall short
CONTRAST = """
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const brush = canvas.getContext("2d", { willReadFrequently: true });
const rgba = (colour) => {
  brush.clearRect(0, 0, 1, 1);
  brush.fillStyle = colour;
  brush.fillRect(0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data];
};
const light = (rgb) => {
  const [r, g, b] = rgb.slice(0, 3).map((v) => {
    const c = v / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor);
    if (colour[3] === 255) return colour;
    if (colour[3] !== 0) throw new Error("a translucent background: work it out");
  }
  throw new Error("the page has no background of its own");
};
find("details").forEach((d) => { d.open = true; });
find(".tip").forEach((t) => { t.style.visibility = "visible"; });
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const seen = [], short = [];
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  const style = getComputedStyle(element);
  if (!element.getClientRects().length) continue;
  const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
  const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  seen.push(ratio);
  if (ratio < 4.5) short.push([element.textContent.slice(0, 40), ratio]);
}
return { texts: seen.length, short };
"""
# graphical objects that carry meaning need 3 : 1 with the page (WCAG 2.2, 1.4.11)
MARKS = (".point", ".whisker", ".diagonal", ".strip")
WIDER = """
const wide = document.documentElement.clientWidth;
return find("body *").filter((e) => {
  const box = e.getBoundingClientRect();
  const inside = e.parentElement.closest(".scroll");
  return box.width && !inside && (box.right > wide + 0.5 || box.left < -0.5);
}).map((e) => e.outerHTML.slice(0, 80));
"""


@pytest.fixture(scope="module")
def page(write_page, examples, hostile, many):
    """The path of a page by its name."""
    example = examples / "fashion_test.npz"
    files = {
        "example": (example,),
        "hostile": (hostile, "--by", "where", "--title", "<script>window.harmed = 1</script>"),
        "many": (many,),
        "positive": (examples / "digits_binary.parquet",),
        "clinical": (examples / "digits_binary.parquet", "--clinical"),
        "confidence": (examples / "answers.csv",),
        "compared": (example, examples / "fashion_val.npz"),
    }
    return lambda name: write_page(*files[name])


@pytest.mark.parametrize("name", PAGES)
def test_it_renders_in_silence_and_asks_for_nothing(browser, page, name):
    browser.open(page(name))
    browser.requests()
    browser.open(page(name))
    assert browser.messages() == []
    requests = [url for url in browser.requests() if not url.startswith("data:")]
    assert requests == [page(name).as_uri()]
    assert browser.text("h1")[0]
    assert browser.run("return document.compatMode") == "CSS1Compat"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(browser, page, name, dark):
    browser.open(page(name), dark=dark)
    paper = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark
    found = browser.run(CONTRAST)
    assert found["texts"] > 40
    assert found["short"] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_marks_of_diagrams_stand_out(browser, page, dark):
    browser.open(page("example"), dark=dark)
    # the strokes, as texts of the same colour, so that one measure serves both
    browser.run(
        """
        const colours = arguments[0].flatMap((css) =>
            find(css).map((e) => getComputedStyle(e).stroke));
        document.body.replaceChildren(...new Set(colours).values().map((colour) => {
            const p = document.createElement("p");
            p.style.color = colour;
            p.textContent = colour;
            return p;
        }));
        """,
        MARKS,
    )
    found = browser.run(CONTRAST)
    assert found["texts"] >= 3
    assert [ratio for _, ratio in found["short"] if ratio < 3] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 768])
def test_nothing_sticks_out_of_a_narrow_screen(browser, page, name, width):
    browser.open(page(name), width=width)
    browser.run("find('details').forEach((d) => { d.open = true; })")
    assert browser.run("return document.documentElement.clientWidth") == width
    assert browser.run("return document.documentElement.scrollWidth") == width
    assert browser.run(WIDER) == []


def test_the_verdict_comes_first_and_in_words(browser, page):
    browser.open(page("example"))
    assert browser.text(".lead")[0].startswith("Overconfident: says 95.3\xa0%, is right 88.9\xa0%")
    first = browser.run("return document.querySelector('main section').className")
    assert first == "verdict bad"
    effect = browser.text(".answers .note")[0].replace("\xa0", " ")
    assert re.search(
        r"Temperature scaling \(T = 2\.\d+\), cross-fitted .* ece 0\.06\d\d to", effect
    )
    corrected = browser.text("table[aria-label='Metrics'] tbody tr")
    ece = next(line for line in corrected if line.startswith("ece"))
    # the sentence uses the number of the table
    assert re.search(r"ece (0\.06\d\d) to", effect)[1] in ece


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("screen", [(1280, 900), (390, 844), (360, 740)])
def test_the_first_screen_says_what_to_do_and_how_sure_it_is(browser, page, name, screen):
    width, height = screen
    browser.open(page(name), width=width, height=height)
    answers = "main section.verdict:first-of-type .answers"
    assert browser.text(f"{answers} dt")[:2] == ["What to do", "How sure"]
    assert all(browser.text(f"{answers} dd"))
    assert browser.run(
        "const [first] = find(arguments[0]); return first.getBoundingClientRect().bottom", answers
    ) <= (height)


@pytest.mark.parametrize("name", PAGES)
def test_how_to_read_a_diagram_is_said_once(browser, page, name):
    browser.open(page(name))
    text = browser.run("return document.body.textContent")
    assert text.count("Point at") == 1
    first, mark = browser.run(
        "return ['.pointing', '.diagram'].map((css) => find(css)[0].getBoundingClientRect().top)"
    )
    assert first < mark


def test_text_can_be_selected(browser, page):
    browser.open(page("example"))
    selected = browser.run(
        "getSelection().selectAllChildren(document.body); return getSelection().toString()"
    )
    for text in ("Overconfident: says 95.3\xa0%", "classwise-ece", "Shirt", "Accuracy"):
        assert text in selected
    kept = browser.run(
        "return find('body, body *').filter((e) => getComputedStyle(e).userSelect === 'none')"
    )
    assert kept == []


# ------------------------------------------------------------------ what a person does


def test_columns_sort_up_and_down_by_mouse_and_by_key(browser, page):
    browser.open(page("example"))
    heads = browser.find("table.sortable thead th")
    titles = [head.text for head in heads]
    predicted, gap = titles.index("predicted"), titles.index("gap")

    def column(index):
        cells = f"table.sortable tbody tr > :nth-child({index + 1})"
        return [float(t.replace(",", "").removesuffix(" %")) for t in browser.text(cells)]

    given = column(predicted)
    heads[predicted].find_element("css selector", "button").click()
    assert column(predicted) == sorted(given, reverse=True) != given
    assert heads[predicted].get_attribute("aria-sort") == "descending"
    heads[predicted].find_element("css selector", "button").send_keys("\n")
    assert column(predicted) == sorted(given)
    assert heads[predicted].get_attribute("aria-sort") == "ascending"
    heads[gap].find_element("css selector", "button").click()
    assert column(gap) == sorted(column(gap), reverse=True)
    assert heads[predicted].get_attribute("aria-sort") is None
    names = browser.text("table.sortable tbody th")
    heads[0].find_element("css selector", "button").click()
    assert browser.text("table.sortable tbody th") == sorted(names)


def test_a_long_table_folds_and_sorts_as_a_whole(browser, page):
    browser.open(page("many"))

    def shown():
        return browser.run(
            "return find('table.sortable tbody tr').filter((r) => r.offsetHeight)"
            ".map((r) => Number(r.cells[1].dataset.v))"
        )

    whole = browser.run(
        "return find('table.sortable tbody tr').map((r) => Number(r.cells[1].dataset.v))"
    )
    assert len(whole) == 60
    assert len(shown()) == 15
    assert browser.text(".search [role=status]") == ["15 of 60 shown"]
    browser.find("table.sortable thead button")[1].click()
    assert shown() == sorted(whole, reverse=True)[:15]
    (more,) = browser.find("button.more")
    assert more.text == "Show all 60"
    more.click()
    assert shown() == sorted(whole, reverse=True)
    assert more.text == "Show 15"
    assert browser.text(".search [role=status]") == ["60 of 60 shown"]


def test_a_long_table_is_searched_by_key(browser, page):
    browser.open(page("many"))
    names = "return find('table.sortable tbody tr').filter((r) => r.offsetHeight)"
    names += ".map((r) => r.cells[0].textContent)"
    given = browser.run(names)
    (field,) = browser.find(".search input")
    assert browser.run("return arguments[0].labels[0].textContent.trim()", field) == (
        "Search classes:"
    )
    field.send_keys("5")
    found = browser.run(names)
    assert sorted(found, key=int) == [str(k) for k in range(60) if "5" in str(k)]
    assert browser.text(".search [role=status]") == ["15 of 60 shown"]
    assert not browser.find("button.more")[0].is_displayed()
    field.send_keys("9")
    assert browser.run(names) == ["59"]
    browser.find("table.sortable thead button")[1].click()  # sorting keeps the search
    assert browser.run(names) == ["59"]
    field.send_keys("x")
    assert browser.run(names) == []
    assert browser.text(".search [role=status]") == ["0 of 60 shown"]
    field.clear()
    field.send_keys(" \b")
    assert len(browser.run(names)) == len(given) == 15


def test_a_short_table_has_no_search(browser, page):
    browser.open(page("example"))
    assert browser.find(".search, button.more") == []


def test_pointing_at_a_bin_tells_its_numbers(browser, page):
    from selenium.webdriver import ActionChains

    browser.open(page("example"))
    diagram = browser.find(".diagram")[0]
    bins = diagram.find_elements("css selector", ".bin")
    tips = [one.find_element("css selector", ".tip") for one in bins]

    def told():
        return [tip.text for tip in tips if tip.value_of_css_property("visibility") == "visible"]

    assert told() == []
    area = bins[-1].find_element("css selector", ".area")
    ActionChains(browser.driver).move_to_element(area).perform()
    (text,) = told()
    assert "0.933 to 1: 83.0 % of rows, confidence 0.9953" in text
    assert "accuracy 0.9530" in text
    spoken = bins[-1].get_attribute("aria-label")
    assert spoken == " ".join(text.split("\n"))


def test_bins_are_reached_by_key(browser, page):
    browser.open(page("example"))
    diagram = browser.find(".diagram")[0]
    bins = diagram.find_elements("css selector", ".bin")
    assert [one.get_attribute("tabindex") for one in bins] == ["0"] + ["-1"] * (len(bins) - 1)
    active = browser.driver.switch_to.active_element
    for _ in range(60):
        active.send_keys("\t")
        active = browser.driver.switch_to.active_element
        if active == bins[0]:
            break
    assert active == bins[0]
    active.send_keys("\ue014")  # arrow right
    assert browser.driver.switch_to.active_element == bins[1]
    tip = bins[1].find_element("css selector", ".tip")
    assert tip.value_of_css_property("visibility") == "visible"
    assert bins[0].find_element("css selector", ".tip").value_of_css_property("visibility") == (
        "hidden"
    )


def test_diagrams_have_words_for_those_who_cannot_see_them(browser, page):
    browser.open(page("example"))
    labels = browser.run("return find('.diagram').map((d) => d.getAttribute('aria-label'))")
    assert labels[0].startswith("Reliability diagram, As given. Accuracy against confidence")
    assert "Mean confidence 95.3 %, accuracy 88.9 %." in labels[2]
    unnamed = browser.run(
        "return find('[role=img], [role=group], table, button').filter((e) =>"
        " !(e.getAttribute('aria-label') || e.textContent).trim()).length"
    )
    assert unnamed == 0
    levels = browser.run("return find('h1, h2').map((h) => h.tagName)")
    assert levels.count("H1") == 1
    assert browser.run("return document.documentElement.lang") == "en"


def test_names_are_shown_as_they_are_and_never_run(browser, page, hostile, names):
    browser.open(page("hostile"))
    assert browser.run("return window.harmed === undefined")
    assert browser.run("return find('script').length") == 1
    assert browser.run("return find('img, b, i, iframe, object').length") == 0
    assert browser.driver.title == "<script>window.harmed = 1</script>"
    assert browser.text("h1") == ["<script>window.harmed = 1</script>"]
    shown = browser.text("table[aria-label=Classes] tbody th")
    assert sorted(shown) == sorted(names)
    values = browser.text("table[aria-label='Slices by where'] tbody th")
    assert "<script>window.harmed = 1</script>" in values
    assert hostile.name in browser.text(".facts")[0]


def test_no_script_but_its_own_may_run(browser, page):
    browser.open(page("example"))
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'window.harmed = 1';"
        "document.body.append(s)"
    )
    assert browser.run("return window.harmed === undefined")
    browser.run(
        "const i = new Image(); i.src = 'http://localhost:9/x.png'; document.body.append(i)"
    )
    assert "Content Security Policy" in " ".join(browser.messages())


# ------------------------------------------------------------------ on paper


@pytest.mark.parametrize("paper", [(8.27, 11.69), (8.5, 11)], ids=["A4", "Letter"])
@pytest.mark.parametrize("name", ["example", "positive", "many", "confidence", "hostile"])
def test_an_ordinary_file_prints_on_two_pages(browser, page, name, paper):
    browser.open(page(name))
    data = browser.printed(*paper)
    assert data.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page\b", data))
    assert pages == 2


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_no_section_breaks_and_what_is_folded_stays_folded(browser, page, name):
    # as wide and as high as what the margins leave of A4
    browser.open(page(name), width=711, height=1040, dark=True, media="print")
    paper = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    sections = browser.run(
        "return find('section').filter((s) => s.getBoundingClientRect().height).map((s) =>"
        " [s.getBoundingClientRect().height, getComputedStyle(s).breakInside])"
    )
    assert len(sections) >= 5
    assert {inside for _, inside in sections} == {"avoid"}
    assert max(height for height, _ in sections) <= 1040
    seen = "return find(arguments[0]).filter((e) => e.getBoundingClientRect().height).length"
    assert browser.run(seen, "details, details td, .pointing, .search input, button.more") == 0
    assert browser.run(seen, ".glossary dd") > 10
    browser.run("find('details').forEach((d) => { d.open = true; })")
    assert browser.run(seen, "details.bins td") > 10
    assert browser.run(seen, ".signatures code") > 5


def test_a_folded_table_says_on_paper_how_much_of_it_is_there(browser, page):
    browser.open(page("many"), media="print")
    (said,) = browser.find(".search [role=status]")
    assert said.is_displayed()
    assert said.text == "15 of 60 shown"


# ------------------------------------------------------------------ in a notebook


def test_a_page_works_within_a_notebook(browser, examples, tmp_path):
    made = build_page([ct.load(examples / "fashion_test.npz")], methods=[], resamples=20)
    outside = tmp_path / "notebook.html"
    outside.write_text(f"<!doctype html><title>x</title>{made._repr_html_()}", encoding="utf-8")
    browser.open(outside)
    (frame,) = browser.find("iframe")
    browser.driver.switch_to.frame(frame)
    try:
        assert browser.text(".lead")[0].startswith("Overconfident")
        (first, *_) = browser.find("table.sortable tbody th")
        name = first.text
        browser.find("table.sortable thead button")[0].click()
        assert browser.find("table.sortable tbody th")[0].text != name
        bins = browser.find(".bin")
        bins[0].send_keys("\ue014")  # arrow right
        assert browser.driver.switch_to.active_element == bins[1]
        assert browser.run("return getComputedStyle(document.body).maxWidth") != "none"
    finally:
        browser.driver.switch_to.default_content()
    assert browser.messages() == []


def test_files_are_compared_in_one_table(browser, page):
    browser.open(page("compared"))
    heads = browser.text("table[aria-label='Metrics of every file'] thead th")
    ends = "95\xa0% interval"
    assert [head.replace("95 %", "95\xa0%") for head in heads] == [
        *("metric", "fashion_test.npz", ends, "fashion_val.npz", ends)
    ]
    assert len(browser.text(".lead")) == 2
    assert "No paired differences: " in " ".join(browser.text(".note"))
