// The page of `stpose view` and `--report`: an orbiting figure, the video in step, curves. Bundled with three.js into
// stpose_core/report/viewer.js by `npm ci && npm run build` in this folder.
import { AmbientLight, CapsuleGeometry, CircleGeometry, Color, DirectionalLight, GridHelper, Group, Mesh,
  MeshBasicMaterial, MeshLambertMaterial, PerspectiveCamera, Scene, SphereGeometry, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

const page = (id) => document.getElementById(id);
const data = JSON.parse(page("data").textContent);
const LEFT = "#e63c3c", RIGHT = "#3cae5a", MIDDLE = "#8a93a3";
const FEET = ["LeftFoot", "LeftToeBase", "RightFoot", "RightToeBase"]; // the columns of contacts

function floats(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

const people = data.people.map((person) => ({
  ...person, places: floats(person.places), contacts: floats(person.contacts),
  curves: person.curves.map((curve) => ({ ...curve, lines: curve.lines.map((line) => ({ ...line, values: floats(line.values) })) })),
}));
const frames = Math.max(...people.map((person) => person.frames));
let frame = 0, playing = false, clock = 0, chosen = 0;

// ---- the figures

const colourOf = (name) => (name.startsWith("Left") ? LEFT : name.startsWith("Right") ? RIGHT : MIDDLE);

function makeFigure(person) {
  const group = new Group(), bones = [], marks = [];
  const at = (joint, t) => {
    const row = 3 * (Math.min(t, person.frames - 1) * person.names.length + joint);
    return new Vector3(person.places[row], person.places[row + 1], person.places[row + 2]);
  };
  person.parents.forEach((parent, joint) => {
    if (parent < 0) return;
    const length = Math.max(at(joint, 0).distanceTo(at(parent, 0)), 1e-4);
    const thick = Math.min(0.045, 0.2 * length) + 0.004;
    const mesh = new Mesh(new CapsuleGeometry(thick, length, 4, 10), new MeshLambertMaterial({ color: colourOf(person.names[joint]) }));
    bones.push({ mesh, joint, parent });
    group.add(mesh);
  });
  const head = person.names.indexOf("HeadEnd");
  const skull = new Mesh(new SphereGeometry(0.1, 20, 14), new MeshLambertMaterial({ color: MIDDLE }));
  if (head >= 0) group.add(skull);
  for (let foot = 0; foot < 4; foot += 1) {
    const disc = new Mesh(new CircleGeometry(0.06, 24), new MeshBasicMaterial({ color: foot < 2 ? LEFT : RIGHT, transparent: true, opacity: 0.7 }));
    disc.rotation.x = -Math.PI / 2;
    marks.push(disc);
    group.add(disc);
  }
  const up = new Vector3(0, 1, 0);
  function show(t) {
    for (const { mesh, joint, parent } of bones) {
      const a = at(parent, t), b = at(joint, t);
      mesh.position.copy(a).add(b).multiplyScalar(0.5);
      mesh.quaternion.setFromUnitVectors(up, b.sub(a).normalize());
    }
    if (head >= 0) skull.position.copy(at(head, t)).add(at(person.parents[head], t)).multiplyScalar(0.5);
    marks.forEach((disc, foot) => {
      const joint = person.names.indexOf(FEET[foot]);
      disc.visible = joint >= 0 && person.contacts[4 * Math.min(t, person.frames - 1) + foot] > 0.5;
      if (disc.visible) disc.position.copy(at(joint, t)).setY(0.004 + 0.001 * foot);
    });
  }
  return { group, show, at };
}

const scene = new Scene();
scene.background = new Color("#f2f4f7");
scene.add(new AmbientLight("#ffffff", 1.6));
const sun = new DirectionalLight("#ffffff", 2.2);
sun.position.set(2, 5, 3);
scene.add(sun);
const grid = new GridHelper(20, 40, "#aab2bf", "#d5dae2");
scene.add(grid);
const figures = people.map(makeFigure);
figures.forEach((figure) => scene.add(figure.group));

const holder = page("figure");
const camera = new PerspectiveCamera(40, 1, 0.05, 200);
let renderer = null;
try {
  renderer = new WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
  holder.append(renderer.domElement);
} catch {
  holder.textContent = "This browser shows no 3D graphics (WebGL is off).";
}
const first = figures[0].at(0, 0);
const target = new Vector3(first.x, 0.9, first.z);
camera.position.set(target.x + 1.2, 1.5, target.z + 3.6);
const controls = renderer ? new OrbitControls(camera, renderer.domElement) : null;
if (controls) controls.target.copy(target);

function follow() {
  if (!controls || !page("follow").checked) return;
  const place = figures[chosen].at(0, frame);
  const moved = new Vector3(place.x - controls.target.x, 0, place.z - controls.target.z);
  controls.target.add(moved);
  camera.position.add(moved);
}

// ---- curves

function drawCurve(canvas, curve, person) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const bottom = height - 4, top = 16, high = curve.most;
  const x = (t) => (t / Math.max(frames - 1, 1)) * width, y = (v) => bottom - (Math.min(v, high) / high) * (bottom - top);
  if (curve.contacts) {
    for (let t = 0; t < person.frames; t += 1) {
      for (const [row, foot] of [[0, 0], [0, 1], [1, 2], [1, 3]]) {
        if (person.contacts[4 * t + foot] <= 0.5) continue;
        pen.fillStyle = row ? RIGHT : LEFT;
        pen.fillRect(x(t) - 0.5, row ? 8 : 2, Math.max(1.5, width / frames + 0.5), 4);
      }
    }
  }
  for (const line of curve.lines) {
    pen.strokeStyle = line.colour;
    pen.lineWidth = 1.4;
    pen.beginPath();
    let down = false;
    line.values.forEach((value, t) => {
      if (Number.isFinite(value)) (down ? pen.lineTo(x(t), y(value)) : pen.moveTo(x(t), y(value)));
      down = Number.isFinite(value);
    });
    pen.stroke();
  }
  pen.fillStyle = "#556";
  pen.font = "11px sans-serif";
  pen.textAlign = "right";
  pen.fillText(`${high} ${curve.unit}`, width - 2, top + 8);
  pen.fillStyle = "#1d4ed8";
  pen.fillRect(x(frame) - 0.75, 0, 1.5, height);
}

function showPerson(number) {
  chosen = number;
  const person = people[number], curves = page("curves");
  curves.replaceChildren();
  for (const curve of person.curves) {
    const box = document.createElement("figure"), label = document.createElement("figcaption"), canvas = document.createElement("canvas");
    label.append(curve.title + " ");
    for (const line of curve.lines) {
      if (!line.name) continue;
      const key = document.createElement("span");
      key.textContent = line.name + " ";
      key.style.color = line.colour;
      label.append(key);
    }
    canvas.curve = curve;
    const seek = (event) => go(Math.round((event.offsetX / canvas.clientWidth) * (frames - 1)));
    canvas.addEventListener("pointerdown", seek);
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
    box.append(label, canvas);
    curves.append(box);
  }
  page("words").replaceChildren(...person.words.map(([term, text]) => {
    const row = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td");
    head.textContent = term;
    cell.textContent = text;
    row.append(head, cell);
    return row;
  }));
  page("advice").textContent = person.advice || "";
  page("advice").hidden = !person.advice;
}

// ---- time

const video = page("video"), slider = page("slider");
slider.max = frames - 1;
const fps = people[0].fps;

function show() {
  figures.forEach((figure) => figure.show(frame));
  follow();
  controls?.update();
  renderer?.render(scene, camera);
  slider.value = frame;
  page("time").textContent = `${(frame / fps).toFixed(2)} s · frame ${frame}`;
  for (const canvas of document.querySelectorAll("#curves canvas")) drawCurve(canvas, canvas.curve, people[chosen]);
  document.body.dataset.frame = frame;
  document.body.dataset.hips = figures[chosen].at(0, frame).toArray().map((v) => v.toFixed(3)).join(" ");
}

function go(number) {
  frame = Math.max(0, Math.min(frames - 1, number));
  clock = frame / fps;
  if (video && !playing) video.currentTime = (frame + 0.25) / fps;
  show();
}

function play(on) {
  playing = on;
  page("play").textContent = on ? "Pause" : "Play";
  if (on && frame >= frames - 1) go(0);
  if (video) {
    video.playbackRate = Number(page("speed").value);
    video.currentTime = (frame + 0.25) / fps;
    if (on) video.play().catch(() => {}); else video.pause();
  }
  if (on) { before = performance.now(); requestAnimationFrame(tick); } else go(frame);
}

let before = 0;
function tick(now) {
  if (!playing) return;
  clock += ((now - before) / 1000) * Number(page("speed").value);
  before = now;
  const next = Math.floor(clock * fps);
  if (next >= frames) { frame = frames - 1; show(); play(false); return; }
  if (next !== frame) { frame = next; show(); }
  if (video && Math.abs(video.currentTime - clock) > 0.15) video.currentTime = clock;
  requestAnimationFrame(tick);
}

function resize() {
  if (renderer) {
    renderer.setPixelRatio(window.devicePixelRatio || 1);
    renderer.setSize(holder.clientWidth, holder.clientHeight);
  }
  camera.aspect = holder.clientWidth / Math.max(holder.clientHeight, 1);
  camera.updateProjectionMatrix();
  show();
}

const choice = page("person");
people.forEach((person, number) => choice.add(new Option(person.title, number)));
choice.hidden = people.length < 2;
choice.addEventListener("change", () => { showPerson(Number(choice.value)); show(); });
slider.addEventListener("input", () => go(Number(slider.value)));
page("play").addEventListener("click", () => play(!playing));
page("speed").addEventListener("change", () => { if (video) video.playbackRate = Number(page("speed").value); });
controls?.addEventListener("change", () => renderer.render(scene, camera));
window.addEventListener("resize", resize);
window.addEventListener("keydown", (event) => {
  if (event.key === " ") { event.preventDefault(); play(!playing); }
  if (event.key === "ArrowRight") go(frame + 1);
  if (event.key === "ArrowLeft") go(frame - 1);
});
showPerson(0);
resize();
