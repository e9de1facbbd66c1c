// A form of many items, sent some at a time: the page shows how far it is, and whoever has seen enough can stop it.
// Every request carries the form's one key, of which each item makes its own: what is sent twice is done once.
const workOff = (() => {
  "use strict";

  const isGood = (outcome) => "good" in outcome.dataset;

  /** What stands in the form's place meanwhile. */
  function begun(form) {
    const box = document.getElementById("work").content.cloneNode(true).firstElementChild;
    const [bar, told, button] = ["progress", "[role=status]", "button"].map((it) => box.querySelector(it));
    const stopped = new Promise((resolve) => button.addEventListener("click", () => resolve(null), { once: true }));
    button.addEventListener("click", () => {
      button.disabled = true;
      box.focus();
    });
    form.hidden = true;
    form.after(box);
    box.focus();
    return { box, bar, told, button, stopped };
  }

  /** The page that answers. Where none comes, the same is sent again when somebody says so, or null is the answer. */
  async function answer(send, { box, stopped }, failure) {
    for (;;) {
      try {
        const page = new DOMParser().parseFromString(await send(), "text/html");
        if (page.querySelector("[data-outcomes], [data-fields]")) return page;
      } catch {
        // no answer either
      }
      const again = new Promise((resolve) => {
        const notice = failure(() => resolve(send));
        notice.querySelector("p").textContent = box.dataset.failed;
        box.append(notice);
      });
      if (!(await Promise.race([stopped, again]))) return null;
    }
  }

  function counted(text, { bar }, outcomes) {
    const numbers = { done: outcomes.filter(isGood).length, tried: bar.value, of: bar.max, left: bar.max - bar.value };
    return text.replace(/{(\w+)}/g, (_, name) => numbers[name]);
  }

  /** The last answer, with the outcomes of all: what was not done stands first. */
  function summary(page, text, outcomes, whole) {
    const notice = page.querySelector("[data-notify]");
    const well = whole && outcomes.every(isGood);
    notice.textContent = text;
    notice.className = `notice ${well ? "good" : "warn"}`;
    notice.dataset.notify = well ? "success" : "warning";
    outcomes.sort((one, other) => isGood(one) - isGood(other));
    page.querySelector("[data-outcomes]").replaceChildren(...outcomes);
    return page.body.innerHTML;
  }

  /** Back to the form, with what is wrong beside its fields. */
  function mended(form, box, fields) {
    box.remove();
    form.hidden = false;
    if (fields) form.querySelector("[data-fields]").replaceWith(fields);
    (form.querySelector("[aria-invalid=true]") ?? form.querySelector("button")).focus();
  }

  /** What to show in the end; nothing where somebody went elsewhere, or has to look at the form again.
      `posted` sends the form with other data, `failure` makes a notice that offers another try. */
  return async (form, data, { posted, failure }) => {
    const items = data.getAll("item");
    const work = begun(form);
    const { box, bar, told, button } = work;
    const outcomes = [];
    let page = null;
    while (bar.value < items.length && !button.disabled) {
      const some = items.slice(bar.value, bar.value + Number(form.dataset.size));
      data.delete("item");
      some.forEach((it) => data.append("item", it));
      const found = await answer(() => posted(form, data), work, failure);
      if (!box.isConnected) return null;
      if (!found) break;
      const fields = found.querySelector("[data-fields]");
      if (fields) return mended(form, box, fields);
      page = found;
      outcomes.push(...page.querySelectorAll("[data-outcomes] > li"));
      bar.value += some.length;
      told.textContent = counted(told.dataset.text, work, outcomes);
    }
    if (!page) return mended(form, box, null);
    const whole = bar.value === bar.max;
    const text = whole ? box.dataset.finished : box.dataset.stopped;
    return summary(page, counted(text, work, outcomes), outcomes, whole);
  };
})();
